#!/usr/bin/env bash
# Usage: bash scripts/convert_lite.sh MODEL.onnx [TARGET.mindir] [--device CPU|Ascend] [--dry_run]
#
# Makes a model for MindSpore Lite out of an exported one, with a .json of its own beside it, and builds the program for
# that, anomaly_convert, first.
#   MODEL.onnx    the exported model, with its .json and its .lite.cfg beside it
#   TARGET        default: MODEL_lite.mindir beside the model
#   --device      CPU (default), or Ascend: on a machine with CANN and a device of the kind that is to run it
#   --dry_run     print the commands and do nothing
# LITE_HOME in the environment names the folder of MindSpore Lite (fetch_lite.sh fetches one for CPUs); PYTHON the Python
# and BUILD_DIR the folder to build with, as for build.sh.
set -euo pipefail
# shellcheck source=scripts/launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
want_help "$@"
parse "--dry_run" "--device" "$@"
want_no_flags
want_words 1 2
model="${WORDS[0]}" device="${CHOSEN[device]:-CPU}"
target="${WORDS[1]:-${model%.onnx}_lite.mindir}"
[[ "$model" == *.onnx ]] || usage_error "MODEL: $model; a .onnx is converted"
[[ "$target" == *.mindir ]] || usage_error "TARGET: $target; it is a .mindir"
want_one_of --device "$device" CPU Ascend
want_file "$model"
want_file "${model%.onnx}.json"
want_file "${model%.onnx}.lite.cfg"
[[ -n "${LITE_HOME:-}" ]] || fail "LITE_HOME is not set: it names the folder of MindSpore Lite; see scripts/fetch_lite.sh"
set_up_environment "$device" 1
set_variable GLOG_v 4 # Lite's own lines stay out; the program says what failed
export PYTHON
build=(bash "$ROOT/ascend310_infer/build.sh")
convert=("${BUILD_DIR:-$ROOT/ascend310_infer/build}/anomaly_convert" --model "$model" --output "$target"
    --device "${device,,}")
if [[ -n "${CHOSEN[dry_run]:-}" ]]; then
    quoted "${build[@]}"
    quoted "${convert[@]}"
    exit
fi
log="$("${build[@]}" 2>&1)" || fail "the program cannot be built:"$'\n'"$log"
[[ -x "${convert[0]}" ]] || fail "$LITE_HOME: has no tools/converter/lib, which converts"
"${convert[@]}"
