#!/usr/bin/env bash
# Usage: bash scripts/run_all_mvtec_onnx.sh METHOD|all DATASET_PATH [OUTPUT_DIR [DEVICE_ID[,DEVICE_ID...]]]
#            [--fresh] [--background] [--dry_run] [-- options]
#
# Exports to ONNX what METHOD (patchcore, padim, fastflow), or each of them, has trained, and evaluates that on the CPU.
# OUTPUT_DIR: the folder that training was given as --output_dir; default: the newest output/mvtec_DEVICE.
# What is complete is not done again, unless --fresh is given.
# --background starts it, says where its log is and leaves it alone; --dry_run only shows the command.
set -euo pipefail
# shellcheck source=scripts/launch.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/launch.sh"
run_all_onnx "$@"
