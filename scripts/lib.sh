# shellcheck shell=bash
# What the scripts share. Source it; it runs nothing by itself.

ROOT="$(cd "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)"
VENV="$ROOT/.venv"

# Prints the Python to use: the user's choice, else the project's own, else the system's.
find_python() {
    local own="$VENV/bin/python"
    [[ -x "$own" ]] || own=python3
    echo "${PYTHON:-$own}"
}
PYTHON="$(find_python)"

# Prints the header of the calling script, from "# Usage:" to the first line that is no comment.
usage() {
    awk '/^# Usage:/ {on = 1} on && !/^#/ {exit} on {sub(/^# ?/, ""); print}' "$0"
}

# usage_error MESSAGE: the message and the usage on standard error, exit code 2.
usage_error() {
    echo "error: $1" >&2
    usage >&2
    exit 2
}

# fail MESSAGE: one line on standard error, exit code 1.
fail() {
    echo "error: $1" >&2
    exit 1
}

# want_help ARGUMENTS...: prints the usage and stops if -h or --help is among them. What follows -- is for a program.
want_help() {
    local argument
    for argument in "$@"; do
        [[ "$argument" != -- ]] || return 0
        if [[ "$argument" == -h || "$argument" == --help ]]; then
            usage
            exit 0
        fi
    done
}

# ensure_venv REQUIREMENTS: makes .venv and installs the file into it, unless that was done before.
ensure_venv() {
    local file="$ROOT/$1" stamp
    PYTHON="$VENV/bin/python" # never install into a Python that is not the project's
    stamp="$VENV/.installed-$1-$(cat "$ROOT"/requirements*.txt | sha256sum | cut -c1-16)"
    [[ -f "$stamp" && -x "$PYTHON" ]] && return
    local python="${BASE_PYTHON:-python3}"
    "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' ||
        fail "Python 3.11 or 3.12 is needed; name one with BASE_PYTHON=/path/to/python3.11"
    if [[ ! -x "$PYTHON" ]]; then
        echo "making $VENV"
        "$python" -m venv "$VENV" || fail "no virtual environment; on Debian: apt install python3-venv"
    fi
    echo "installing $1 (once)"
    # Without compiling all modules beforehand, which takes as long as the rest: Python does it for those that are used.
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-compile -r "$file" ||
        fail "the packages of $1 could not be installed"
    touch "$stamp"
}

# want_one_of NAME VALUE ALLOWED...
want_one_of() {
    local name="$1" value="$2" allowed
    shift 2
    for allowed in "$@"; do
        [[ "$value" != "$allowed" ]] || return 0
    done
    usage_error "$name: $value; it is one of: $*"
}

# want_number NAME VALUE
want_number() {
    [[ "$2" =~ ^(0|[1-9][0-9]{0,8})$ ]] || usage_error "$1: $2 is no number"
}

want_folder() {
    [[ -d "$1" ]] || fail "$1: no such folder"
}

# want_file PATH [WORD]: a file, or the word that may stand for one.
want_file() {
    [[ "$1" == "${2:-}" || -f "$1" ]] || fail "$1: no such file"
}

# want_weights PATH: a checkpoint, a folder of them, or the word that stands for untrained ones.
want_weights() {
    [[ "$1" == random || -e "$1" ]] || fail "$1: no such file or folder"
}

want_python() {
    [[ -n "$(command -v "$PYTHON")" ]] || fail "$PYTHON: no such program; PYTHON names the Python to use"
}

want_mindspore() {
    local ask='import importlib.util as i, sys; sys.exit(not i.find_spec("mindspore"))'
    want_python
    "$PYTHON" -c "$ask" || fail "$PYTHON: mindspore is not installed there; PYTHON names the Python to use"
}

# set_variable NAME VALUE: an environment variable, unless the user has set it.
set_variable() {
    [[ -n "${!1:-}" ]] || export "$1=$2"
}

# Ascend's own script sets where its libraries and operators are. The user's installation goes before the usual places.
use_ascend() {
    local home="${ASCEND_HOME_PATH:-/usr/local/Ascend/ascend-toolkit/latest}" file
    for file in "$home/../set_env.sh" "$home/set_env.sh" \
        {/usr/local,"$HOME"}/Ascend/{ascend-toolkit,cann,nnae}/set_env.sh; do
        [[ -f "$file" ]] || continue
        set +eu # it is not written for them
        # shellcheck source=/dev/null
        source "$file" >&2
        set -eu
        return
    done
}

# The newest CUDA 11 in the usual place, unless CUDA_HOME names another.
use_cuda() {
    local folder="${CUDA_HOME:-}" found
    for found in /usr/local/cuda-11*; do
        [[ -n "${CUDA_HOME:-}" || ! -d "$found/lib64" ]] || folder="$found"
    done
    [[ -n "$folder" && -d "$folder/lib64" && ":${LD_LIBRARY_PATH:-}:" != *":$folder/lib64:"* ]] || return 0
    export LD_LIBRARY_PATH="$folder/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

# set_up_environment TARGET PROCESSES: what a program needs on Ascend, GPU or CPU; PROCESSES share this machine.
set_up_environment() {
    local target="$1" processes="$2" threads
    # On AVX-512 machines oneDNN falls back to a reference convolution that is about 50 times slower.
    set_variable ONEDNN_MAX_CPU_ISA AVX2
    case "$target" in
        Ascend) use_ascend ;;
        GPU) use_cuda ;;
        CPU)
            [[ "$processes" -gt 1 ]] || return 0
            threads=$(($(nproc) / processes))
            set_variable OMP_NUM_THREADS $((threads > 0 ? threads : 1))
            ;;
    esac
}
