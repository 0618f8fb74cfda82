# shellcheck shell=bash
# What the scripts share. Source it; it runs nothing by itself.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"
PYTHON="$VENV/bin/python"

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

# want_help ARGUMENTS...: prints the usage and stops if -h or --help is among them.
want_help() {
    local argument
    for argument in "$@"; do
        if [[ "$argument" == -h || "$argument" == --help ]]; then
            usage
            exit 0
        fi
    done
}

# ensure_venv REQUIREMENTS: makes .venv and installs the file into it, unless that was done before.
ensure_venv() {
    local file="$ROOT/$1" stamp
    stamp="$VENV/.installed-$1-$(cat "$ROOT"/requirements*.txt | sha256sum | cut -c1-16)"
    [[ -f "$stamp" && -x "$PYTHON" ]] && return
    local python="${BASE_PYTHON:-python3}"
    "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' ||
        { echo "error: Python 3.11 or 3.12 is needed; name one with BASE_PYTHON=/path/to/python3.11" >&2; exit 1; }
    if [[ ! -x "$PYTHON" ]]; then
        echo "making $VENV"
        "$python" -m venv "$VENV" || { echo "error: no virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
    fi
    echo "installing $1 (once)"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check -r "$file" ||
        { echo "error: the packages of $1 could not be installed" >&2; exit 1; }
    touch "$stamp"
}
