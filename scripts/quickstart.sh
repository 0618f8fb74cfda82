#!/usr/bin/env bash
# Usage: bash scripts/quickstart.sh
#
# From nothing to figures and pictures: makes .venv, draws a small data set, gets pretrained weights, trains and
# evaluates PatchCore on the CPU. What is there already is used again; where there is no network for the weights, a
# seeded random backbone takes their place and everything made with it says so.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
want_help "$@"
[[ $# -eq 0 ]] || usage_error "quickstart.sh takes no arguments"

DATA="$ROOT/data/toy"
WEIGHTS=resnet18-f37072fd
OUTPUT="$ROOT/output/quickstart"

ensure_venv requirements.txt
cd "$ROOT"
if [[ ! -d "$DATA/gear" ]]; then
    echo "drawing a data set"
    "$PYTHON" -m anomaly.data.toydata "$DATA"
fi

checkpoint="$ROOT/pretrained/$WEIGHTS.ckpt"
if [[ ! -f "$checkpoint" ]]; then
    echo "getting weights: $WEIGHTS"
    if answer=$("$PYTHON" pretrained/fetch.py "$WEIGHTS" --no_convert 2>&1); then
        ensure_venv requirements-convert.txt
        "$PYTHON" pretrained/pthtockpt.py --pth_path "pretrained/$WEIGHTS.pth" --ckpt_path "$checkpoint"
    else
        echo "${answer#error: } - going on with a seeded random backbone"
        checkpoint=random
    fi
fi

options=(--dataset_path "$DATA" --category all --backbone resnet18 --output_dir "$OUTPUT"
    --pre_ckpt_path "$checkpoint" --device_target CPU)
# Every category has a state, and all come from the backbone of this run.
trained() {
    local category random=false
    [[ "$checkpoint" == random ]] && random=true
    for category in "$DATA"/*/; do
        grep -qs "\"random_backbone\": $random" "$OUTPUT/$(basename "$category")/state.json" || return 1
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
