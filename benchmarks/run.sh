#!/usr/bin/env bash
# Usage: bash benchmarks/run.sh [--quick] [--data FOLDER --category C] [--only a,b] [--repeats N] [--output FOLDER]
#
# Measures this project beside anomalib and AnomaVision on this machine: the same photographs, weights, size and
# threads, whole processes in turn. Writes results.md and results.json.
#   --quick     under 15 minutes on 2 cores, once the peers are installed: the small network, half the photographs, one
#               repeat, a short time limit; results.md says what was left out
#   --data      a folder of categories in MVTec AD's layout, PNG; otherwise photographs are drawn
#   --only      peers, methods (patchcore-1, patchcore-10, padim, fastflow), networks, growth, with commas between
#   --repeats   how often each is run; default: 3
#   --output    default: output/peers or output/peers_quick in the project
# More: --limit SECONDS, --epochs N, --weights FOLDER, --photographs TRAIN TEST, --peers FOLDER.
# The peers are installed into environments of their own in benchmarks/.peers, once. Started again, it goes on where it
# stopped. PYTHON in the environment names the Python to use, otherwise .venv is made.
set -euo pipefail
chosen="${PYTHON:-}"
# shellcheck source=scripts/lib.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/../scripts/lib.sh"
want_help "$@"

if [[ -z "$chosen" ]]; then
    ensure_venv requirements.txt
fi
want_mindspore
cd "$ROOT"
exec "$PYTHON" -m benchmarks.peers.bench "$@"
