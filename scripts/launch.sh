# shellcheck shell=bash
# What the launchers share: arguments, checks, the command. Each launcher is one call of it.

# shellcheck source=scripts/lib.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"
# shellcheck source=scripts/process.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/process.sh"
METHODS=() # the folders that have what anomaly/methods.py asks of a method
for detector in "$ROOT"/*/src/detector.py; do
    [[ ! -f "$detector" ]] || METHODS=("$(basename "${detector%/src/detector.py}")" "${METHODS[@]}")
done
unset detector
OWN="--good --bad --masks --test_good" # options that stand in the place of DATASET_PATH; each may come several times
PORT=8118 # msrun's own, for several machines, which have to agree on one

# parse "SWITCHES" "OPTIONS WITH A VALUE" ARGUMENTS...: leaves the words in WORDS, what was chosen in CHOSEN, by its
# name without dashes, those of OWN in PLACES, as train.py takes them, and what follows -- in FLAGS, untouched.
parse() {
    local switches=" $1 " valued=" $2 " name
    shift 2
    declare -gA CHOSEN=()
    WORDS=() FLAGS=() PLACES=()
    while [[ $# -gt 0 ]]; do
        name="${1%%=*}"
        if [[ "$1" == -- ]]; then
            FLAGS=("${@:2}")
            return
        elif [[ "$1" == -* && "$switches" == *" $1 "* ]]; then
            CHOSEN["${1#--}"]=yes
        elif [[ "$1" == -*=* && "$valued" == *" $name "* ]]; then
            choose "$name" "${1#*=}"
        elif [[ "$1" == -* && "$valued" == *" $1 "* ]]; then
            [[ $# -gt 1 && "$2" != -* ]] || usage_error "$1 needs a value"
            choose "$1" "$2"
            shift
        elif [[ "$1" == -* ]]; then
            usage_error "$1: unknown option; those of train.py or eval.py come after --, where the usage shows it"
        else
            WORDS+=("$1")
        fi
        shift
    done
}

# choose OPTION VALUE: for parse.
choose() {
    CHOSEN["${1#--}"]="$2"
    [[ " $OWN " != *" $1 "* ]] || PLACES+=("$1=$2")
}

# want_words LEAST MOST: how many WORDS there may be; none of them is empty.
want_words() {
    local word
    [[ ${#WORDS[@]} -ge $1 ]] || usage_error "too few arguments"
    [[ ${#WORDS[@]} -le $2 ]] || usage_error "too many arguments: ${WORDS[$2]}"
    for word in "${WORDS[@]}"; do
        [[ -n "$word" ]] || usage_error "an argument is empty"
    done
}

# want_no_flags: for scripts that pass nothing on.
want_no_flags() {
    [[ ${#FLAGS[@]} -eq 0 ]] || usage_error "nothing can come after --: ${FLAGS[*]}"
}

# want_method METHOD [WORD IN ITS PLACE]: one that is here, since a bundle holds one of them.
want_method() {
    want_one_of METHOD "$1" ${2:+"$2"} "${METHODS[@]}"
}

want_category() {
    case "$1" in */* | . | ..) usage_error "CATEGORY: $1; it is the name of a folder in DATASET_PATH" ;; esac
}

# find_output DEFAULT: OUTPUT is the folder that FLAGS name, REST are the other FLAGS.
find_output() {
    local index
    OUTPUT="$1" REST=()
    for ((index = 0; index < ${#FLAGS[@]}; index++)); do
        case "${FLAGS[index]}" in
            --output_dir=* | --save_path=*) OUTPUT="${FLAGS[index]#*=}" ;;
            --output_dir | --save_path) OUTPUT="${FLAGS[++index]:-}" ;;
            *)
                REST+=("${FLAGS[index]}")
                continue
                ;;
        esac
        [[ -n "$OUTPUT" ]] || usage_error "--output_dir needs a value"
    done
}

# want_words_of LEAST MOST PLACE: the same where one of the words, the one at this place, is DATASET_PATH, which own
# folders make needless; WORDS then has an empty word there.
want_words_of() {
    local own=$((${#PLACES[@]} > 0))
    want_words $(($1 - own)) $(($2 - own))
    [[ "$own" -eq 0 ]] || WORDS=("${WORDS[@]:0:$3}" "" "${WORDS[@]:$3}")
}

# find_photographs DATASET_PATH CATEGORY: checks that they are there; PHOTOGRAPHS is how train.py is told of them.
find_photographs() {
    local place path
    for place in "${PLACES[@]}"; do
        path="${place#*=}"
        [[ -e "$path" || "$path" == *[*?[]* ]] || fail "$path: no such file or folder"
    done
    PHOTOGRAPHS=("${PLACES[@]}")
    [[ ${#PLACES[@]} -eq 0 ]] || return 0
    want_folder "$1"
    [[ "$2" == all ]] || want_folder "$1/$2"
    PHOTOGRAPHS=(--dataset_path "$1")
}

# run_standalone train|eval TARGET ARGUMENTS...
run_standalone() {
    local program="$1" target="$2" option=--pre_ckpt_path
    shift 2
    want_help "$@"
    parse "--background --dry_run" "$OWN" "$@"
    want_words_of 4 5 1
    local method="${WORDS[0]}" data="${WORDS[1]}" weights="${WORDS[2]}" category="${WORDS[3]}" device="${WORDS[4]:-0}"
    want_method "$method"
    want_category "$category"
    want_number DEVICE_ID "$device"
    find_output "$ROOT/output/$method"
    find_photographs "$data" "$category"
    if [[ "$program $method" == "eval fastflow" ]]; then
        option=--ckpt_path
        want_file "$weights"
    else
        want_weights "$weights"
    fi
    want_mindspore
    COMMAND=("$PYTHON" "$ROOT/$method/$program.py" "${PHOTOGRAPHS[@]}" "$option" "$weights" --category "$category"
        --device_target "$target" --device_id "$device" "${FLAGS[@]}")
    prepare "$target" 1
    start "$OUTPUT/${program}_$category" "$program"
}

# run_distribute TARGET ARGUMENTS...
run_distribute() {
    local target="$1"
    shift
    want_help "$@"
    parse "--background --dry_run" "--master_addr --master_port --node_rank --node_num $OWN" "$@"
    want_words_of 5 5 1
    local method="${WORDS[0]}" data="${WORDS[1]}" weights="${WORDS[2]}" category="${WORDS[3]}" devices="${WORDS[4]}"
    want_method "$method"
    want_category "$category"
    want_nodes "$devices"
    find_output "$ROOT/output/$method"
    find_photographs "$data" "$category"
    want_weights "$weights"
    want_mindspore
    local folder="$OUTPUT/train_$category" bin
    bin="$(dirname "$(command -v "$PYTHON")")"
    want_file "$bin/msrun" # it comes with mindspore, in an environment of its own
    prepare "$target" "$devices" "$(cd "$bin" && pwd)" # msrun takes the python3 that it finds first
    find_nodes "$devices"
    COMMAND=("$bin/msrun" "${NODES[@]}" --join=True "--log_dir=$folder" python3 "$ROOT/$method/train.py"
        "${PHOTOGRAPHS[@]}" --pre_ckpt_path "$weights" --category "$category" --device_target "$target"
        "${FLAGS[@]}")
    RUN=(with_workers "$folder")
    STOP_SIGNAL=INT # the only one at which msrun ends its workers
    start "$folder" train
}

# want_nodes DEVICE_NUM: the numbers are numbers, and fit together.
want_nodes() {
    local name nodes="${CHOSEN[node_num]:-1}"
    want_number DEVICE_NUM "$1"
    for name in master_port node_rank node_num; do
        want_number "--$name" "${CHOSEN[$name]:-1}"
    done
    [[ "$1" -ge 1 ]] || usage_error "DEVICE_NUM: 1 or more"
    [[ "$nodes" -ge 1 ]] || usage_error "--node_num: 1 or more"
    [[ "${CHOSEN[node_rank]:-0}" -lt "$nodes" ]] || usage_error "--node_rank: from 0 to $((nodes - 1))"
    [[ "$nodes" -eq 1 || -n "${CHOSEN[master_addr]:-}" ]] || usage_error "--node_num $nodes needs --master_addr"
}

# find_nodes DEVICE_NUM: NODES is what msrun is told of processes and machines.
find_nodes() {
    local nodes="${CHOSEN[node_num]:-1}" port="${CHOSEN[master_port]:-}" name
    local free='import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
    if [[ -z "$port" ]]; then
        [[ "$nodes" -gt 1 ]] && port="$PORT" || port="$("$PYTHON" -c "$free")"
    fi
    NODES=("--worker_num=$(($1 * nodes))" "--local_worker_num=$1" "--master_port=$port")
    for name in master_addr node_rank; do
        [[ -z "${CHOSEN[$name]:-}" ]] || NODES+=("--$name=${CHOSEN[$name]}")
    done
}

# run_all TARGET ARGUMENTS...: all categories; without a target on the best device present.
run_all() {
    local target="$1"
    shift
    want_help "$@"
    parse "--fresh --background --dry_run" "${METHODS[*]/#/--}" "$@"
    want_words 3 4
    want_method "${WORDS[0]}" all
    want_devices "${WORDS[3]:-0}"
    want_folder "${WORDS[1]}"
    want_weights "${WORDS[2]}"
    find_output ""
    want_mindspore
    [[ -n "$target" ]] || target="$(best_device)"
    start_full "$target" "${WORDS[3]:-0}" --pre_ckpt_path "${WORDS[2]}"
}

# run_all_onnx ARGUMENTS...: the same for what was trained before, as ONNX.
run_all_onnx() {
    want_help "$@"
    parse "--fresh --background --dry_run" "" "$@"
    want_words 2 4
    want_method "${WORDS[0]}" all
    want_devices "${WORDS[3]:-0}"
    want_folder "${WORDS[1]}"
    [[ -z "${WORDS[2]:-}" ]] || want_folder "${WORDS[2]}"
    find_output "${WORDS[2]:-}"
    want_mindspore
    start_full CPU "${WORDS[3]:-0}" --task onnx
}

# run_compare ARGUMENTS...: several methods with several networks on the same photographs.
run_compare() {
    want_help "$@"
    parse "--background --dry_run" "$OWN" "$@"
    want_words_of 2 3 0
    local data="${WORDS[0]}" category="${WORDS[1]}" weights="${WORDS[2]:-}" target="" index
    want_category "$category"
    find_output "$ROOT/output/compare"
    find_photographs "$data" "$category"
    [[ -z "$weights" ]] || want_weights "$weights"
    want_mindspore
    for ((index = 0; index < ${#FLAGS[@]}; index++)); do
        case "${FLAGS[index]}" in
            --device_target=*) target="${FLAGS[index]#*=}" ;;
            --device_target) target="${FLAGS[index + 1]:-}" ;;
        esac
    done
    [[ -n "$target" ]] || { target="$(best_device)" && FLAGS=(--device_target "$target" "${FLAGS[@]}"); }
    COMMAND=(env "PYTHONPATH=$ROOT${PYTHONPATH:+:$PYTHONPATH}" "$PYTHON" -m anomaly compare "${PHOTOGRAPHS[@]}"
        --category "$category" ${weights:+--pre_ckpt_path "$weights"} "${FLAGS[@]}")
    prepare "$target" 1
    start "$OUTPUT" compare
}

want_devices() {
    [[ "$1" =~ ^[0-9]+(,[0-9]+)*$ ]] || usage_error "DEVICE_ID: $1 is no number; several: 0,1"
}

best_device() {
    local ask='from anomaly.run import device; print(device.best())'
    PYTHONPATH="$ROOT" "$PYTHON" -c "$ask" 2>/dev/null | tail -n 1 ||
        fail "$PYTHON finds no device; bash scripts/doctor.sh says what is missing"
}

# start_full TARGET DEVICE_IDS FLAGS...: becomes benchmarks/full.py, so that a signal to the script is one to it.
start_full() {
    local target="$1" devices="$2" commas folder method
    shift 2
    COMMAND=("$PYTHON" "$ROOT/benchmarks/full.py" "${WORDS[0]}" --dataset_path "${WORDS[1]}" --device_target "$target"
        --device_ids "$devices" "$@" ${OUTPUT:+--output_dir "$OUTPUT"} ${CHOSEN[fresh]:+--fresh})
    for method in "${METHODS[@]}"; do
        [[ -z "${CHOSEN[$method]:-}" ]] || COMMAND+=("--$method=${CHOSEN[$method]}")
    done
    [[ ${#REST[@]} -eq 0 ]] || COMMAND+=(-- "${REST[@]}")
    commas="${devices//[!,]/}"
    prepare "$target" $((${#commas} + 1))
    folder="${OUTPUT:-$ROOT/output}/run_all_${WORDS[0]}"
    if [[ -n "${CHOSEN[dry_run]:-}" ]]; then
        show_command
    elif [[ -n "${CHOSEN[background]:-}" ]]; then
        make_folder "$folder"
        printf '\n== %s\n' "$(date '+%Y-%m-%d %H:%M:%S %z')" >>"$folder/full.log" ||
            fail "$folder/full.log: cannot be written"
        detached "$folder/full.log" become "$folder/full.log" "${COMMAND[@]}"
    else
        exec "${COMMAND[@]}"
    fi
}
