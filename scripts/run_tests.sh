#!/usr/bin/env bash
# Usage: bash scripts/run_tests.sh [--fast] [pytest arguments]
#
# Makes the environment if need be and runs every check: ruff (lint and format), mypy, bandit, shellcheck, pytest.
# --fast leaves out what takes long: the commands from end to end, several processes, the C++ program.
# The C++ program and a browser are Debian packages: root installs them if they are missing, else their tests are left out.
# MindSpore Lite is fetched once (scripts/fetch_lite.sh); without a network its tests are left out.
# Ends with what was left out and why, and with the time.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"
want_help "$@"

DEBIAN=(g++ cmake make libopencv-dev nlohmann-json3-dev chromium chromium-driver)
left_out=()

have_debian_packages() {
    [[ -d /usr/include/opencv4 && -d /usr/include/nlohmann && -x /usr/bin/cmake && -x /usr/bin/g++ && -x /usr/bin/make &&
        -x /usr/bin/chromium && -x /usr/bin/chromedriver ]]
}

# For the C++ program, and for pages in a browser. Installed where they are missing and this user may do it.
install_debian_packages() {
    have_debian_packages || [[ "$(id -u)" -ne 0 ]] || ! command -v apt-get >/dev/null && return
    echo "installing Debian packages: ${DEBIAN[*]}"
    { timeout 300 apt-get update -qq && DEBIAN_FRONTEND=noninteractive timeout 900 apt-get install -y -qq \
        --no-install-recommends "${DEBIAN[@]}"; } >/dev/null 2>&1
}

# finish CODE: what was left out, the outcome and the time.
finish() {
    local line
    for line in "${left_out[@]}"; do
        echo "left out: $line"
    done
    if [[ "$1" -eq 0 ]]; then
        echo "all checks passed in $SECONDS s"
    else
        echo "a check failed after $SECONDS s" >&2
    fi
}

chosen=()
if [[ "${1:-}" == --fast ]]; then
    chosen=(-m "not slow")
    left_out+=("the slow tests (--fast)")
    shift
fi
[[ ${#chosen[@]} -gt 0 ]] || install_debian_packages & # beside the Python packages
ensure_venv requirements-dev.txt
wait $! || true
if ! have_debian_packages; then
    export NO_DEBIAN_PACKAGES=1 # tests/skips.py then lets their tests be skipped
    left_out+=("the tests of the C++ program and of pages in a browser that need: apt install ${DEBIAN[*]}")
fi
if [[ ${#chosen[@]} -eq 0 && -z "${LITE_HOME:-}" ]]; then
    bash "$ROOT/scripts/fetch_lite.sh" >/dev/null || left_out+=("the tests of MindSpore Lite, which is not here")
fi
SECONDS=0
trap 'finish $?' EXIT
cd "$ROOT"
"$VENV/bin/ruff" check .
"$VENV/bin/ruff" format --check .
"$VENV/bin/shellcheck" -x scripts/*.sh benchmarks/*.sh ascend310_infer/*.sh .ci/run &
shellcheck=$! # it takes longer than mypy, beside which it runs
"$VENV/bin/mypy"
"$VENV/bin/bandit" -q -c pyproject.toml -r anomaly benchmarks fastflow padim patchcore pretrained scripts
wait "$shellcheck"
set_variable OMP_NUM_THREADS 1 # two processes at once; more threads than cores take longer
"$PYTHON" -m pytest -n 2 --dist loadgroup -rs "${chosen[@]}" "$@"
