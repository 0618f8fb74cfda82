#!/usr/bin/env bash
# Usage: bash scripts/fetch_lite.sh [FOLDER]
#
# Fetches MindSpore Lite 2.0.0 (Linux on x86-64, 170 MB) out of its Python package, for build.sh and convert_lite.sh to
# build against, and ends with the line that sets LITE_HOME. It computes on CPUs; on Ascend use the package for your CANN.
#   FOLDER   default: ~/.cache/anomaly_lite, or below XDG_CACHE_HOME; where it was fetched before nothing is done
# PYTHON in the environment names a Python with pip. Exit code 3: it cannot be had here, as without a network.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
want_help "$@"
[[ $# -le 1 ]] || usage_error "one FOLDER is enough"

VERSION=2.0.0
SUM=199cd0605cc985b88eddb273db9dfe9000a585ba10ca2292b6b36ebfff07b3ec
# The package is for one old Python, but what a program in C++ needs of it is not.
WHEEL=(--python-version 3.7 --implementation cp --platform manylinux1_x86_64)
# Of what is not needed, what is large.
LEFT_OUT='libtransformer|libtensorrt|libdvpp|_c_lite_wrapper'

# unpack WHEEL FOLDER: laid out as the package for C++ is.
unpack() {
    local lib="$2/runtime/lib"
    "$PYTHON" -m zipfile -e "$1" "$2/wheel"
    mkdir -p "$2/runtime" "$2/tools/converter"
    mv "$2/wheel/mindspore_lite/include" "$2/wheel/mindspore_lite/lib" "$2/runtime/"
    find "$lib" -type f | grep -E "/($LEFT_OUT)" | tr '\n' '\0' | xargs -0 rm --
    ln -s ../../runtime/lib "$2/tools/converter/lib"
    ln -s libmindspore-extendrt_python.so "$lib/libmindspore-lite.so" # it has another name here
    rm -rf -- "$2/wheel"
}

# missing MESSAGE
missing() {
    echo "error: $1" >&2
    exit 3
}

want_python
[[ "$(uname -sm)" == "Linux x86_64" ]] || missing "this package of MindSpore Lite is for Linux on x86-64"
target="${1:-${XDG_CACHE_HOME:-$HOME/.cache}/anomaly_lite}"
mkdir -p -- "$target" 2>/dev/null || fail "$target: cannot be written"
home="$(realpath -- "$target")/$VERSION"
exec 9>"$home.lock"
flock 9
if [[ ! -d "$home" ]]; then
    work="$(mktemp -d -- "$home.XXXXXX")"
    trap 'rm -rf -- "$work"' EXIT
    "$PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: "${WHEEL[@]}" \
        --dest "$work" "mindspore-lite==$VERSION" >&2 ||
        missing "mindspore-lite==$VERSION cannot be downloaded; is there a network?"
    wheel="$(echo "$work"/*.whl)"
    echo "$SUM  $wheel" | sha256sum --check --quiet 2>/dev/null || fail "$wheel: is not the file that is known (sha256 differs)"
    mkdir -- "$work/home"
    unpack "$wheel" "$work/home"
    mv -- "$work/home" "$home"
fi
echo "export LITE_HOME=$(printf '%q' "$home")"
