#!/usr/bin/env bash
# Usage: bash scripts/run_eval_cpu.sh METHOD DATASET_PATH PRE_CKPT_PATH CATEGORY [DEVICE_ID]
#            [--background] [--dry_run] [-- options of eval.py]
#
# Evaluates what METHOD (patchcore, padim, fastflow) has trained, on the CPU. CATEGORY: a folder in
# DATASET_PATH, or all. PRE_CKPT_PATH: the network's weights, or random; for fastflow the trained checkpoint,
# fastflow_CATEGORY.ckpt.
# Logs: output/METHOD/eval_CATEGORY/{env,eval}.log
# In place of DATASET_PATH may stand --good FOLDER, with --bad, --masks and --test_good as wanted: folders, files or
# quoted patterns of your own. Each takes one and may be given several times; CATEGORY is then the name to save under.
# --background starts it, says where its log is and leaves it alone; --dry_run only shows the command.
set -euo pipefail
# shellcheck source=scripts/launch.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/launch.sh"
run_standalone eval CPU "$@"
