#!/usr/bin/env bash
# Usage: bash scripts/run_tests.sh [pytest arguments]
#
# Makes the environment if need be and runs every check: ruff (lint and format), shellcheck, pytest.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
want_help "$@"

ensure_venv requirements-dev.txt
cd "$ROOT"
"$VENV/bin/ruff" check .
"$VENV/bin/ruff" format --check .
"$VENV/bin/shellcheck" -x scripts/*.sh ascend310_infer/*.sh .ci/run
"$PYTHON" -m pytest -n 2 --dist loadgroup "$@"
