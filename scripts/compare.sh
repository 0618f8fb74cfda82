#!/usr/bin/env bash
# Usage: bash scripts/compare.sh DATASET_PATH CATEGORY [PRE_CKPT_PATH] [--background] [--dry_run] [-- options]
#        bash scripts/compare.sh --good FOLDER [--bad FOLDER] CATEGORY [PRE_CKPT_PATH] [...]
#
# Trains PatchCore, PaDiM and FastFlow with several networks on the same photographs, on the best device that is present,
# and puts figures, times and memory into one table: compare.md, .csv and .json in output/compare.
# CATEGORY: a folder in DATASET_PATH, or all. PRE_CKPT_PATH: a folder of weights, or random; left out: pretrained/.
# --good, --bad, --masks, --test_good: folders, files or quoted patterns of your own, in place of DATASET_PATH. Each takes
# one and may be given several times; CATEGORY is then the name to save under.
# Options are those of `anomaly compare`, such as --methods patchcore,padim or --backbones resnet18.
# Stopped and started again with the same options and photographs, it goes on where it was.
# Logs: output/compare/{env,compare}.log
# --background starts it, says where its log is and leaves it alone; --dry_run only shows the command.
set -euo pipefail
# shellcheck source=scripts/launch.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/launch.sh"
run_compare "$@"
