#!/usr/bin/env bash
# Usage: bash scripts/bundle.sh METHOD DEST [--with_weights]
#
# Makes a folder that holds one method and all that it needs, and works by itself on another machine.
#   METHOD          patchcore, padim or fastflow
#   DEST            the folder: a new or an empty one, not inside the project
#   --with_weights  put the weights in pretrained/ into it too
set -euo pipefail
# shellcheck source=scripts/launch.sh
source "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/launch.sh"

# What would not work there: it needs the tests, or another method.
LEFT_OUT=(scripts/bundle.sh scripts/bundle.md scripts/bundle_CN.md scripts/run_tests.sh scripts/run_torture.sh
    scripts/run_fuzz.sh benchmarks/flow_step.py benchmarks/accuracy.py benchmarks/run.sh benchmarks/peers)
# The pages that go with it; of the others, links to them become plain words.
PAGES=(commands data devices export glossary licences line manual_CN networks reliability report scripts thresholds troubleshooting)

# want_new_folder FOLDER: its path is absolute and has no links.
want_new_folder() {
    [[ "$1/" != "$(realpath -- "$ROOT")"/* ]] || fail "$1: is inside the project; choose a folder elsewhere"
    [[ ! -e "$1" ]] && return
    [[ -d "$1" && -z "$(ls -A -- "$1" 2>&1)" ]] || fail "$1: is there already, and no empty folder"
}

# copy_sources METHOD TARGET: files of the kinds that the project consists of, and none that a run leaves behind.
copy_sources() {
    local method="$1" target="$2"
    find "$method" anomaly ascend310_infer benchmarks pretrained/*.py scripts LICENSE pyproject.toml requirements*.txt \
        -type d \( -name '.*' -o -name '__pycache__' -o -name 'build*' -o -path '*/data' ! -path anomaly/data -o -name output \) -prune -o \
        -type f ! -name '.*' \( -name '*.py' -o -name '*.sh' -o -name '*.md' -o -name '*.yaml' -o -name '*.cc' \
        -o -name '*.h' -o -name '*.c' -o -name '*.cmake' -o -name '*.txt' -o -name '*.toml' -o -name '*.html' -o -name '*.css' -o -name '*.js' -o -name LICENSE \) -exec cp --parents -t "$target" -- {} +
    (cd "$target" && rm -rf -- "${LEFT_OUT[@]}")
    [[ "$method" == patchcore ]] || rm -f -- "$target/scripts/quickstart.sh"
}

# missing_pages: the names of the pages that do not go with it, with | between.
missing_pages() {
    local file name missing=()
    for file in docs/*.md; do
        name="$(basename "$file" .md)"
        [[ " ${PAGES[*]} " == *" $name "* ]] || missing+=("$name")
    done
    (IFS='|' && echo "${missing[*]}")
}

# page METHOD FILE: its text without its marked parts, with the commands of this method, and no link to what is not there.
page() {
    local other commands=()
    for other in "${METHODS[@]}"; do
        [[ "$other" == "$1" || "$other" == patchcore ]] || commands+=(-e "/^python $other\//d")
    done
    sed -E -e '/^<!-- not in a bundle -->$/,/^<!-- in a bundle too -->$/d' -e '/^<!-- in a bundle too -->$/d' "${commands[@]}" \
        -e "s/\[([^]]*)\]\((docs\/)?($(missing_pages))\.md(#[^)]*)?\)/\1/g" -e "s/patchcore/$1/g" "$2"
}

# readme METHOD HEAD README: the project's README from its first mark on, with another beginning.
readme() {
    sed "s/METHOD/$1/g" "$2"
    page "$1" <(sed '1,/^<!-- in a bundle too -->$/d' "$3")
}

want_some_weights() {
    compgen -G "pretrained/*.pth" >/dev/null || compgen -G "pretrained/*.safetensors" >/dev/null ||
        compgen -G "pretrained/*.ckpt" >/dev/null ||
        fail "$ROOT/pretrained: holds no weights; leave --with_weights out or see pretrained/fetch.py"
}

copy_weights() {
    local target="$1" file
    for file in pretrained/*.{pth,safetensors,ckpt}; do
        [[ ! -f "$file" ]] || cp -- "$file" "$target/pretrained/"
    done
}

# fill METHOD TARGET: what the folder holds; the first that cannot be written ends it.
fill() {
    local name
    copy_sources "$1" "$2"
    mkdir "$2/docs"
    for name in "${PAGES[@]}"; do
        page "$1" "docs/$name.md" >"$2/docs/$name.md"
    done
    readme "$1" scripts/bundle.md README.md >"$2/README.md"
    readme "$1" scripts/bundle_CN.md README_CN.md >"$2/README_CN.md"
    [[ -z "${CHOSEN[with_weights]:-}" ]] || copy_weights "$2"
    chmod "$(umask -S)" -- "$2"
}

want_help "$@"
parse "--with_weights" "" "$@"
want_words 2 2
want_no_flags
METHOD="${WORDS[0]}"
want_method "$METHOD"
DEST="$(realpath -m -- "${WORDS[1]}")"
want_new_folder "$DEST"

PARENT="$(dirname -- "$DEST")"
mkdir -p -- "$PARENT" 2>/dev/null || fail "$PARENT: cannot be written"
TEMPORARY="$(mktemp -d -- "$PARENT/.bundle.XXXXXX" 2>/dev/null)" || fail "$PARENT: cannot be written"
trap 'rm -rf -- "$TEMPORARY"' EXIT
cd "$ROOT"
[[ -z "${CHOSEN[with_weights]:-}" ]] || want_some_weights
fill "$METHOD" "$TEMPORARY" 2>/dev/null &
{ wait "$!" && mv -T -- "$TEMPORARY" "$DEST" 2>/dev/null; } || fail "$DEST: cannot be written; the disk may be full"
echo "$DEST: $(du -sh --apparent-size -- "$DEST" | cut -f1)"
echo "there: bash scripts/doctor.sh"
