#!/usr/bin/env bash
# Usage: bash scripts/run_fuzz.sh [--runs N] [--only python|cpp]
#
# Gives damaged files to everything that reads one, and fails where a reader does anything but make sense of it, or
# refuse it in one line. What it cannot bear is left in output/fuzz.
#   --runs N   files for each reader in Python (default: 2000); those in C++, which are quicker, get fifty times as many
#   --only     one of the two halves
# The readers in Python are tried with hypothesis, those in C++ with libFuzzer and the sanitizers for addresses and for
# undefined behaviour, for which Debian's clang is needed.
set -euo pipefail
# shellcheck source=scripts/launch.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/launch.sh"
want_help "$@"
parse "" "--runs --only" "$@"
want_no_flags
want_words 0 0
runs="${CHOSEN[runs]:-2000}" only="${CHOSEN[only]:-both}"
want_number --runs "$runs"
want_one_of --only "$only" python cpp both
PYTHON=python

# build: the readers of ascend310_infer/ with tests/fuzz/cpp/readers.cc around them.
build() {
    local sources="$ROOT/ascend310_infer" packages=(opencv4 libjpeg libdeflate)
    local parts=(files image_io jpeg model_info nearest png proof regions roi sha256 shrink tiles view)
    local settings=(-std=c++17 -g -O1 -ffp-contract=off "-fsanitize=fuzzer,address,undefined" -fno-sanitize-recover=undefined)
    parts=("${parts[@]/#/$sources/}")
    # shellcheck disable=SC2046
    clang++ "${settings[@]}" -I "$sources" $(pkg-config --cflags "${packages[@]}") "$ROOT/tests/fuzz/cpp/readers.cc" \
        "${parts[@]/%/.cc}" -o "$work/readers" $(pkg-config --libs "${packages[@]}")
}

# fuzz READER
fuzz() {
    local found="$ROOT/output/fuzz/$1"
    mkdir -p "$found"
    echo "$1: $((runs * 50)) runs"
    READER="$1" "$work/readers" -runs=$((runs * 50)) -max_len=8192 -timeout=20 -rss_limit_mb=3000 -close_fd_mask=1 \
        -artifact_prefix="$found/" "$work/seeds/$1" >"$work/log" 2>&1 ||
        { tail -n 40 "$work/log" >&2 && fail "$1: see above, and $found"; }
}

if [[ "$only" != cpp ]]; then
    (cd "$ROOT" && FUZZ_EXAMPLES="$runs" "$PYTHON" -m pytest -q tests/fuzz)
fi
if [[ "$only" != python ]]; then
    command -v clang++ >/dev/null || fail "clang++ is needed for the readers in C++; on Debian: apt install clang"
    work="$(mktemp -d)"
    trap 'rm -rf "$work"' EXIT
    "$PYTHON" "$ROOT/tests/fuzz/seeds.py" "$work/seeds"
    build
    for reader in photographs descriptions prepared; do
        fuzz "$reader"
    done
fi
