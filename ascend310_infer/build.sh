#!/usr/bin/env bash
# Usage: bash ascend310_infer/build.sh
#
# Builds ascend310_infer/build/anomaly_infer, and libanomaly.so beside it, with what is found of
#   OpenVINO, ONNX Runtime   as packages of the Python named by PYTHON, else of .venv, else of python3
#   MindSpore Lite           unpacked in the folder named by LITE_HOME, which holds runtime/include and runtime/lib
# BUILD_DIR names another folder to build in.
# On Debian it also needs: apt install g++ cmake make libopencv-dev nlohmann-json3-dev
set -euo pipefail

HERE="$(cd "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)"
BUILD="${BUILD_DIR:-$HERE/build}"

usage() {
    awk '/^# Usage:/ {on = 1} on && !/^#/ {exit} on {sub(/^# ?/, ""); print}' "$0"
}

fail() {
    echo "error: $1" >&2
    exit 1
}

if [[ "${1:-}" == -h || "${1:-}" == --help ]]; then
    usage
    exit 0
fi
if [[ $# -gt 0 ]]; then
    echo "error: build.sh takes no arguments" >&2
    usage >&2
    exit 2
fi

# folder_of PACKAGE: where it lies. Without importing it: OpenVINO would report its use to its makers.
folder_of() {
    local python ask="import importlib.util as i; print(i.find_spec('$1').submodule_search_locations[0])"
    for python in "${PYTHON:-$HERE/../.venv/bin/python}" "${PYTHON:-python3}"; do
        "$python" -c "$ask" 2>/dev/null && return
    done
}

openvino="$(folder_of openvino || true)"
onnxruntime=""
for library in "$(folder_of onnxruntime || true)"/capi/libonnxruntime.so*; do
    [[ ! -f "$library" ]] || onnxruntime="$library"
done

[[ -z "${LITE_HOME:-}" || -d "$LITE_HOME/runtime/include" && -d "$LITE_HOME/runtime/lib" ]] ||
    fail "LITE_HOME=$LITE_HOME: runtime/include and runtime/lib are not there"
[[ -n "$openvino$onnxruntime${LITE_HOME:-}" ]] ||
    fail "no engine found: pip install openvino or onnxruntime (PYTHON names its Python), or set LITE_HOME"
for tool in cmake make g++; do
    [[ -n "$(command -v "$tool")" ]] || fail "$tool is missing; on Debian: apt install g++ cmake make"
done

# An earlier build would keep the engines that were found then.
log="$(cmake -U 'OpenVINO*' -U 'LITE_*' -U '*_DIR' -S "$HERE" -B "$BUILD" ${openvino:+"-DOpenVINO_DIR=$openvino/cmake"} "-DLITE_HOME=${LITE_HOME:-}" \
    "-DONNXRUNTIME_LIBRARY=$onnxruntime" 2>&1)" || {
    echo "$log" >&2
    ! grep -qE '(OpenCV|nlohmann_json)Config.cmake' <<<"$log" ||
        fail "cmake failed; on Debian: apt install libopencv-dev nlohmann-json3-dev"
    ! grep -qE 'JPEG|DEFLATE' <<<"$log" || fail "cmake failed; on Debian: apt install libjpeg-dev libdeflate-dev"
    fail "cmake failed, see above"
}
grep -- '-- engines:' <<<"$log" | sed 's/^-- //'
cmake --build "$BUILD" --parallel "${JOBS:-2}"
echo "built: $BUILD/anomaly_infer"
