#!/usr/bin/env bash
# Usage: bash scripts/run_distribute_train_gpu.sh METHOD DATASET_PATH PRE_CKPT_PATH CATEGORY DEVICE_NUM
#            [--master_addr ADDRESS] [--master_port PORT] [--node_rank RANK] [--node_num NUMBER]
#            [--background] [--dry_run] [-- options of train.py]
#
# Trains METHOD (patchcore, padim, fastflow) by msrun, in DEVICE_NUM processes on as many GPU devices.
# With several machines start it on each, with the same --node_num, --master_addr and --master_port, and a
# --node_rank from 0 on.
# Logs: output/METHOD/train_CATEGORY/{env,train,msrun,scheduler,worker_NUMBER}.log
# In place of DATASET_PATH may stand --good FOLDER, with --bad, --masks and --test_good as wanted: folders, files or
# quoted patterns of your own. Each takes one and may be given several times; CATEGORY is then the name to save under.
# --background starts it, says where its log is and leaves it alone; --dry_run only shows the command.
set -euo pipefail
# shellcheck source=scripts/launch.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/launch.sh"
run_distribute GPU "$@"
