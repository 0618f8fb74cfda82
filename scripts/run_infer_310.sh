#!/usr/bin/env bash
# Usage: bash scripts/run_infer_310.sh METHOD MINDIR_PATH DATASET_PATH CATEGORY [DEVICE_ID] [--output_dir DIR] [--dry_run]
#
# run_infer_cpp.sh for an Ascend 310: preprocess, build, infer, accuracy into acc_CATEGORY.log.
#   METHOD        patchcore, padim or fastflow
#   MINDIR_PATH   the exported .mindir, with its .json beside it
#   --output_dir  default: output/infer/METHOD in the project
#   --dry_run     print the commands and do nothing
# In place of DATASET_PATH may stand --good FOLDER, with --bad, --masks and --test_good as wanted, as in training.
# LITE_HOME in the environment names the folder of MindSpore Lite.
set -euo pipefail
# shellcheck source=scripts/infer.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/infer.sh"
want_help "$@"
parse "--dry_run" "--output_dir $OWN" "$@"
want_words_of 4 5 2
[[ "${WORDS[1]}" == *.mindir ]] || usage_error "MINDIR_PATH: ${WORDS[1]}; an Ascend 310 takes a .mindir"
run_infer "${WORDS[@]:0:3}" y "${WORDS[3]}" Ascend "${WORDS[4]:-0}"
