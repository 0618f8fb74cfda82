#!/usr/bin/env bash
# Usage: bash scripts/run_standalone_train_cpu.sh METHOD DATASET_PATH PRE_CKPT_PATH CATEGORY [DEVICE_ID]
#            [--background] [--dry_run] [-- options of train.py]
#
# Trains METHOD (patchcore, padim, fastflow) on the CPU. PRE_CKPT_PATH: the network's weights, or random.
# CATEGORY: a folder in DATASET_PATH, or all. Logs: output/METHOD/train_CATEGORY/{env,train}.log
# In place of DATASET_PATH may stand --good FOLDER, with --bad, --masks and --test_good as wanted: folders, files or
# quoted patterns of your own. Each takes one and may be given several times; CATEGORY is then the name to save under.
# --background starts it, says where its log is and leaves it alone; --dry_run only shows the command.
set -euo pipefail
# shellcheck source=scripts/launch.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/launch.sh"
run_standalone train CPU "$@"
