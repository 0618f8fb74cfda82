# shellcheck shell=bash
# The four steps from an exported model to its accuracy on a device; run_infer_cpp.sh and run_infer_310.sh call them.

# shellcheck source=scripts/launch.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/launch.sh"

# step NAME COMMAND...: runs it into NAME_<category>.log; the first that fails ends everything, with the end of its log.
step() {
    local name="$1" log code=0
    shift
    log="$OUTPUT/${name}_$CATEGORY.log"
    if [[ -n "${CHOSEN[dry_run]:-}" ]]; then
        quoted "$@"
        return
    fi
    echo "$name: $log"
    : >"$log" || fail "$log: cannot be written"
    supervise become "$log" "$@" || code=$?
    [[ $code -eq 0 ]] && return
    tail -n 20 "$log" >&2
    echo "error: $name failed with exit code $code; see $log" >&2
    exit "$code"
}

# want_fitting_engine ENGINE MODEL_PATH DEVICE_TYPE: what the program would refuse is told before anything is prepared.
want_fitting_engine() {
    want_one_of --engine "$1" auto openvino onnxruntime tensorrt lite
    [[ "$1" != lite || "$2" != *.onnx ]] || usage_error "--engine: $1; a .onnx is for openvino, onnxruntime and tensorrt"
    [[ "$1" == auto || "$1" == lite || "$2" != *.mindir ]] || usage_error "--engine: $1; a .mindir is for lite"
    [[ "$1" != tensorrt || "$3" == GPU ]] || usage_error "--engine: $1; it runs on NVIDIA's GPUs, not on $3"
}

# want_elsewhere FOLDER CATEGORY: what is written does not come among the photographs.
want_elsewhere() {
    local place path
    for place in "${PHOTOGRAPHS[@]}"; do
        path="${place#--*=}"
        [[ -d "$path/$2" && ${#PLACES[@]} -eq 0 ]] && path="$path/$2" # of a dataset, the category alone
        [[ ! -d "$path" || "$(realpath -m -- "$1")/" != "$(realpath -- "$path")/"* ]] ||
            fail "$1: is among the photographs; choose another --output_dir"
    done
}

# run_infer METHOD MODEL_PATH DATASET_PATH NEED_PREPROCESS CATEGORY DEVICE_TYPE DEVICE_ID; options are in CHOSEN, and
# own folders, without DATASET_PATH, in PLACES.
run_infer() {
    local method="$1" model="$2" data="$3" prepare="$4" device="$6" id="$7" engine="${CHOSEN[engine]:-}" folder
    CATEGORY="$5"
    want_no_flags
    want_method "$method"
    want_one_of NEED_PREPROCESS "$prepare" y n
    want_one_of DEVICE_TYPE "$device" Ascend GPU CPU
    want_category "$CATEGORY"
    [[ "$CATEGORY" != all ]] || usage_error "CATEGORY: all; a model is of one of them"
    want_number DEVICE_ID "$id"
    [[ "$device" != CPU || "$id" == 0 ]] || usage_error "DEVICE_ID: $id; it is for Ascend and GPU"
    [[ "$model" != *.onnx || "$device" != Ascend ]] || usage_error "DEVICE_TYPE: $device; a .onnx is for CPU and GPU"
    want_fitting_engine "${engine:-auto}" "$model" "$device"
    OUTPUT="${CHOSEN[output_dir]:-$ROOT/output/infer/$method}"
    folder="$OUTPUT/$CATEGORY"
    want_file "$model"
    want_file "${model%.*}.json"
    find_photographs "$data" "$CATEGORY"
    want_elsewhere "$folder" "$CATEGORY"
    [[ "$(realpath -- "$model")" != "$(realpath -m -- "$folder")/result/"* ]] ||
        fail "$model: lies where results are written; choose another --output_dir"
    [[ ! -e "$folder/result" || -f "$folder/label/index.json" ]] ||
        fail "$folder/result: was not written by this script; choose another --output_dir"
    if [[ "$prepare" == n ]]; then
        want_folder "$folder/img"
        want_file "$folder/label/index.json"
    fi
    want_python
    set_up_environment "$device" 1
    export PYTHON TQDM_DISABLE=1 # no bars in the logs
    [[ -n "${CHOSEN[dry_run]:-}" ]] || mkdir -p -- "$OUTPUT" 2>/dev/null || fail "$OUTPUT: cannot be written"
    [[ "$prepare" == n ]] || step preprocess "$PYTHON" "$ROOT/$method/preprocess.py" "${PHOTOGRAPHS[@]}" \
        --category "$CATEGORY" --output_dir "$folder" --model_path "$model"
    # A step that fails must not leave what an earlier run found for its own; the one above looks where it writes.
    [[ -n "${CHOSEN[dry_run]:-}" ]] || rm -rf -- "$folder/result" "$OUTPUT"/{build,infer,acc}_"$CATEGORY.log"
    step build bash "$ROOT/ascend310_infer/build.sh"
    step infer "${BUILD_DIR:-$ROOT/ascend310_infer/build}/anomaly_infer" --model "$model" --input "$folder/img" \
        --output "$folder/result" --device "${device,,}" --device_id "$id" ${engine:+--engine "$engine"} --preprocess n
    step acc "$PYTHON" "$ROOT/$method/postprocess.py" --result_dir "$folder/result" --label_dir "$folder/label" \
        --category "$CATEGORY" --model_path "$model"
    [[ -n "${CHOSEN[dry_run]:-}" ]] || cat "$folder/result/test_perform_static.txt" "$OUTPUT/acc_$CATEGORY.log"
}
