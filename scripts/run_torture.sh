#!/usr/bin/env bash
# Usage: bash scripts/run_torture.sh [--only NAME] [--jobs N] [--list]
#
# Breaks the program on purpose: every command with damaged photographs, wrong options, damaged files and folders, each
# with what has to come of it. Prints what went otherwise, and the counts. Takes about ten minutes; exit code 1 if
# anything went otherwise.
# --only: cases whose names begin so, such as images/watch. --jobs: cases at once. --list: the names of all cases.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
want_help "$@"

ensure_venv requirements-dev.txt
exec "$PYTHON" "$ROOT/tests/torture" "$@"
