#!/usr/bin/env bash
# Usage: bash scripts/run_torture.sh [--only NAME] [--jobs N] [--list] [--program FILE] [--kills N] [--soak MINUTES]
#
# Breaks the program on purpose: every command with damaged photographs, wrong options, damaged files and folders, each
# with what has to come of it. Prints what went otherwise, and the counts. Takes ten minutes or more; exit code 1 if
# anything went otherwise.
# --only: cases whose names begin so, such as images/watch. --jobs: cases at once. --list: the names of all cases.
# --program: anomaly_infer, which is built otherwise where there is a compiler.
# --kills: kill -9 so many times of each command that writes instead, at random moments, and a look at what is left;
# --only export/padim takes a part.
# --soak: watch and serve for so many minutes instead, with damaged photographs among good ones.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"
want_help "$@"

ensure_venv requirements-dev.txt
exec "$PYTHON" "$ROOT/tests/torture" "$@"
