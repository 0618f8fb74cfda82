# shellcheck shell=bash
# Environment, logs, start and end of a command. launch.sh sources it.
# COMMAND, CHANGED and CHOSEN are launch.sh's too.

RUN=()         # what goes before COMMAND when it is run, and is not a part of it
SIGNALS=(HUP INT TERM)
PATIENCE=60    # seconds for a command to end whose launcher was killed
STOP_SIGNAL="" # what ends COMMAND; empty: the signal that came

# prepare TARGET PROCESSES [FOLDER FOR PATH]: sets the environment up; CHANGED are the variables that this changed.
prepare() {
    local before
    mapfile -d '' before < <(env -0 | sort -z)
    set_up_environment "$1" "$2"
    [[ -z "${3:-}" || "$PATH" == "$3":* ]] || export PATH="$3:$PATH"
    mapfile -d '' CHANGED < <(comm -z -13 <(printf '%s\0' "${before[@]}") <(env -0 | sort -z))
}

# quoted WORDS...: one line that a shell reads as these words.
quoted() {
    local line
    printf -v line '%q ' "$@"
    echo "${line% }"
}

show_command() {
    local pair
    for pair in "${CHANGED[@]}"; do
        printf '%s=%q\n' "${pair%%=*}" "${pair#*=}"
    done
    quoted "${COMMAND[@]}"
}

describe_run() {
    local packages='import importlib.metadata as m
print("\n".join(sorted({str(d.metadata["Name"]) + "==" + d.version for d in m.distributions()})))'
    echo "date: $(date '+%Y-%m-%d %H:%M:%S %z')"
    echo "host: $(uname -nsrm)"
    echo "folder: $PWD"
    echo "command: $(quoted "${COMMAND[@]}")"
    printf '\nvariables:\n'
    env | grep -E '^(ASCEND|CUDA|DEVICE|GLOG|HCCL|LD_LIB|MS_|NCCL|OMP_|ONEDNN|PATH=|PYTHON|RANK)' | sort || true
    printf '\npackages:\n'
    "$PYTHON" -c "$packages" || true
}

# with_log LOG COMMAND...: runs the command; what it says is shown and logged.
with_log() {
    local log="$1"
    shift
    set +e
    trap : "${SIGNALS[@]}" # they are for the command, which this shell waits for
    "$@" 2>&1 | (
        trap '' "${SIGNALS[@]}" # the command's last words are to be seen
        exec tee -- "$log"
    )
    exit "${PIPESTATUS[0]}"
}

# pass_on SIGNAL: for `supervise`, whose variables it uses.
pass_on() {
    caught=$((128 + $(kill -l "$1")))
    kill -s "${STOP_SIGNAL:-$1}" -- "-$pid" 2>/dev/null || true
}

# outlive: for `supervise`, which says the process group of its command into a pipe, and at the end "over". Where it is
# killed, the pipe ends, and so does the command, which may have something to save.
outlive() {
    local group left
    trap '' "${SIGNALS[@]}"
    read -r group || return 0
    ! read -r || return 0
    kill -s "${STOP_SIGNAL:-TERM}" -- "-$group" 2>/dev/null || return 0
    for ((left = PATIENCE * 5; left > 0; left--)); do
        kill -0 -- "-$group" 2>/dev/null || return 0
        sleep 0.2
    done
    kill -s KILL -- "-$group" 2>/dev/null || true
}

# supervise COMMAND...: returns the command's exit code. A signal to this script goes on to the command, which is
# waited for, since it may have something to save.
supervise() {
    local code=0 caught=0 pid signal alive heir
    set -m # in a process group of its own the command gets each signal once, from here
    coproc HEIR { outlive 2>/dev/null; }
    alive="${HEIR[1]}" heir="$HEIR_PID"
    (
        exec {alive}>&-
        "$@"
    ) </dev/null &
    pid=$!
    set +m
    trap : PIPE
    echo "$pid" >&"$alive"
    for signal in "${SIGNALS[@]}"; do
        # shellcheck disable=SC2064 # this signal, not the one that is last
        trap "pass_on $signal" "$signal"
    done
    wait "$pid" || code=$?
    while [[ "$caught" -ne 0 ]] && kill -0 "$pid" 2>/dev/null; do
        wait "$pid" || true
    done
    echo over >&"$alive"
    exec {alive}>&-
    wait "$heir" || true
    trap - "${SIGNALS[@]}" PIPE
    return $((caught ? caught : code))
}

# without_hangup COMMAND...: the end of the terminal is no longer a reason to end.
without_hangup() {
    trap '' HUP
    SIGNALS=(INT TERM)
    "$@"
}

# detached LOG COMMAND...: starts it so that it outlives the terminal, and says where it is.
detached() {
    local log="$1"
    shift
    set -m # so that it is not deaf to Ctrl-C's signal
    without_hangup "$@" </dev/null >/dev/null 2>&1 &
    set +m
    echo "pid: $!"
    echo "log: $(realpath -- "$log")"
}

# make_folder FOLDER: for logs, with the first of them.
make_folder() {
    local text
    text="$(describe_run 2>&1)"
    { mkdir -p -- "$1" && : >"$1/env.log"; } 2>/dev/null || fail "$1: cannot be written"
    printf '%s\n' "$text" 2>/dev/null >"$1/env.log" || fail "$1/env.log: cannot be written; the disk may be full"
}

# start FOLDER NAME: runs COMMAND in the way that was CHOSEN, with its logs in the folder.
start() {
    local log="$1/$2.log"
    if [[ -n "${CHOSEN[dry_run]:-}" ]]; then
        show_command
        return
    fi
    make_folder "$1"
    if [[ -n "${CHOSEN[background]:-}" ]]; then
        : >"$log"
        detached "$log" supervise with_log "$log" "${RUN[@]}" "${COMMAND[@]}"
    else
        supervise with_log "$log" "${RUN[@]}" "${COMMAND[@]}"
    fi
}

# become LOG COMMAND...: what the log holds stays, for it may be that of a run that goes on.
become() {
    local log="$1"
    shift
    exec "$@" >>"$log" 2>&1
}

# What msrun says of itself.
OF_MSRUN='/^\[(INFO|WARNING|ERROR)\]/d; /^Start (scheduler|worker) process/d; /^Traceback/,/^[A-Za-z.]*Error: /d'

# with_workers FOLDER COMMAND...: msrun, whose own words go to msrun.log; if it fails, the last lines of each worker.
with_workers() {
    local folder="$1" log code
    shift
    trap : "${SIGNALS[@]}"
    rm -f -- "$folder"/worker_*.log "$folder/scheduler.log"
    echo "logs: $folder"
    set +e
    "$@" 2>&1 | (
        trap '' "${SIGNALS[@]}"
        tee -- "$folder/msrun.log" | sed --unbuffered --regexp-extended "$OF_MSRUN"
    )
    code="${PIPESTATUS[0]}"
    set -e
    [[ "$code" -ne 0 ]] || return 0
    for log in "$folder"/worker_*.log; do
        [[ ! -f "$log" ]] || printf '\n== %s ends with:\n%s\n' "$log" "$(tail -n 15 -- "$log")"
    done
    return "$code"
}
