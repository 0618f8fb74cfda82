#!/usr/bin/env bash
# Usage: bash scripts/run_infer_cpp.sh METHOD MODEL_PATH DATASET_PATH NEED_PREPROCESS CATEGORY DEVICE_TYPE [DEVICE_ID]
#            [--engine NAME] [--output_dir DIR] [--dry_run]
#
# Runs an exported model with the C++ program over the test photographs of CATEGORY, in four steps: preprocess, build,
# infer, accuracy. The first that fails ends it, with the end of its log.
#   METHOD           patchcore, padim or fastflow
#   MODEL_PATH       a .mindir, or a .onnx (CPU or GPU), with its .json beside it
#   NEED_PREPROCESS  y: prepare the photographs; n: take those that an earlier run has prepared
#   DEVICE_TYPE      Ascend, GPU or CPU
#   DEVICE_ID        which Ascend or GPU; default: 0
#   --engine         what runs a .onnx: openvino (CPU, Intel's GPU), onnxruntime (CPU, NVIDIA's GPU) or tensorrt (NVIDIA's
#                    GPU), or a .mindir: lite; default: openvino where it is installed, lite for a .mindir
#   --output_dir     default: output/infer/METHOD in the project; gets acc_CATEGORY.log and the other logs, and
#                    CATEGORY/result with a map for each photograph, results.csv and test_perform_static.txt
#   --dry_run        print the commands and do nothing
# In place of DATASET_PATH may stand --good FOLDER, with --bad, --masks and --test_good as wanted: folders, files or
# quoted patterns of your own, each as often as need be, as in training. CATEGORY is the name they were saved under.
# PYTHON and LITE_HOME in the environment name the Python and the MindSpore Lite to use, BUILD_DIR where to build.
set -euo pipefail
# shellcheck source=scripts/infer.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/infer.sh"
want_help "$@"
parse "--dry_run" "--engine --output_dir $OWN" "$@"
want_words_of 6 7 2
run_infer "${WORDS[@]:0:6}" "${WORDS[6]:-0}"
