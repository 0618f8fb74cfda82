#!/usr/bin/env bash
# Usage: bash scripts/run_tests.sh [--fast] [pytest arguments]
#
# Makes the environment if need be and runs every check: ruff (lint and format), mypy, shellcheck, pytest.
# --fast leaves out what takes long: the commands from end to end, several processes, the C++ program.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
want_help "$@"

chosen=()
if [[ "${1:-}" == --fast ]]; then
    chosen=(-m "not slow")
    shift
fi
ensure_venv requirements-dev.txt
SECONDS=0
cd "$ROOT"
"$VENV/bin/ruff" check .
"$VENV/bin/ruff" format --check .
"$VENV/bin/mypy"
"$VENV/bin/shellcheck" -x scripts/*.sh benchmarks/*.sh ascend310_infer/*.sh .ci/run
set_variable OMP_NUM_THREADS 1 # two processes at once; more threads than cores take longer
"$PYTHON" -m pytest -n 2 --dist loadgroup "${chosen[@]}" "$@"
echo "all checks passed in $SECONDS s"
