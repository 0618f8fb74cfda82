#!/usr/bin/env bash
# Usage: bash scripts/compare.sh DATASET_PATH CATEGORY [PRE_CKPT_PATH] [--background] [--dry_run] [-- options]
#        bash scripts/compare.sh --good FOLDER... [--bad FOLDER...] [--background] [--dry_run] [-- options]
#
# Trains PatchCore, PaDiM and FastFlow with several networks on the same photographs, on the best device that is present,
# and puts figures, times and memory into one table: compare.md, .csv and .json in output/compare.
# CATEGORY: a folder in DATASET_PATH, or all. PRE_CKPT_PATH: a folder of weights, or random; left out: pretrained.
# --good, --bad: folders, files or patterns of your own, in place of DATASET_PATH and CATEGORY.
# Options are those of `anomaly compare`, such as --methods patchcore,padim or --backbones resnet18.
# Stopped and started again with the same options and photographs, it goes on where it was.
# Logs: output/compare/{env,compare}.log
# --background starts it, says where its log is and leaves it alone; --dry_run only shows the command.
set -euo pipefail
# shellcheck source=scripts/launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
run_compare "$@"
