#!/usr/bin/env bash
# Usage: bash scripts/doctor.sh
#
# Says what is found on this machine, what is missing, and for each task whether it is ready or what to install.
# The Python that it asks is the one named by PYTHON, else that of .venv, else python3.
# Exit code 0 if training is possible on some device, else 1.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"
want_help "$@"
[[ $# -eq 0 ]] || usage_error "doctor.sh takes no arguments"

want_python
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 8))' || fail "$PYTHON is too old; install Python 3.11 or 3.12"
# What MindSpore can see is what it would see when started by one of the launchers.
use_ascend
use_cuda
exec "$PYTHON" "$ROOT/scripts/doctor.py"
