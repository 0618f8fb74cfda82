#!/usr/bin/env bash
# Usage: bash scripts/run_all_mvtec_cpu.sh METHOD|all DATASET_PATH PRE_CKPT_PATH [DEVICE_ID[,DEVICE_ID...]]
#            [--patchcore="OPTIONS"] [--padim="OPTIONS"] [--fastflow="OPTIONS"]
#            [--fresh] [--background] [--dry_run] [-- options of train.py]
#
# Trains and evaluates every category with METHOD (patchcore, padim, fastflow) or all of them, on the CPU.
# PRE_CKPT_PATH: the network's weights, a folder that holds those of each method, or random.
# --patchcore="OPTIONS" and so on are options for that method alone; those behind -- are for all.
# What is complete is not done again, unless --fresh is given.
# --background starts it, says where its log is and leaves it alone; --dry_run only shows the command.
set -euo pipefail
# shellcheck source=scripts/launch.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/launch.sh"
run_all CPU "$@"
