#!/bin/bash
# SPDX-License-Identifier: MIT
# Completion in bash: the functions are called as readline would call them, with COMP_WORDS, and
# what they offer is compared: commands, options as of --help, segments, arrays, values, files.
# Environment: TOP, BUILD.
set -euo pipefail
: "${TOP:?}" "${BUILD:?}"
scratch=$(mktemp -d)
shm=$(mktemp -d "${UNTORN_SHM_DIR:-/dev/shm}/completion.XXXXXX" 2>/dev/null) || shm=$scratch/shm
mkdir -p "$shm" "$scratch/work/stores" "$scratch/empty"
trap 'rm -rf "$scratch" "$shm"' EXIT
trap 'exit 1' INT TERM HUP
export UNTORN_SHM_DIR=$shm
PATH=$(cd "$BUILD" && pwd):$PATH
fail() { echo "$*"; exit 1; }

# shellcheck source=src/tools/untorn.bash-completion
source "$TOP/src/tools/untorn.bash-completion"
complete -p untorn shmstat >/dev/null || fail "nothing is registered"

# offered WORD... : what is offered for the last word, sorted, in one line.
offered() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    "_$1" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" || true
    printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd ' '
}
expect() { # what is expected, then the words
    local want=$1 got
    shift
    got=$(offered "$@")
    [ "$got" = "$want" ] || fail "after \"$*\": offered \"$got\", not \"$want\""
}

head -c 80 /dev/zero | untorn put alpha temp/air --dtype f8 --shape 10
head -c 80 /dev/zero | untorn put alpha temp/sea --dtype f8 --shape 10
head -c 80 /dev/zero | untorn put alpha 'odd name' --dtype f8 --shape 10
untorn create alps
untorn create beta
cd "$scratch/work"
touch one.npy two.npy

echo "== commands"
expect "put" untorn pu
expect "--help --version" untorn --
all=$(untorn --help | sed -n 's/^  \([a-z]\{2,8\}\)  .*/\1/p' | { cat; printf '%s\n' --help --version; } |
    sort | paste -sd ' ')
expect "$all" untorn ''

echo "== options, as of --help"
for command in $(untorn --help | sed -n 's/^  \([a-z]\{2,8\}\)  .*/\1/p'); do
    want=$(untorn "$command" --help | { grep -oE '^  (-[a-z], )?--[a-z-]+' || true; } |
        sed 's/.*--/--/' | { cat; echo --help; } | sort | paste -sd ' ')
    expect "$want" untorn "$command" --
done
expect "--chunks --codec --control-mode" untorn put alpha x --c
expect "--chunks --help --json --no-header --prometheus --sort --version" shmstat --

echo "== segments and arrays"
expect "alpha alps beta" untorn get ''
expect "alpha alps" untorn get al
expect "" untorn create ''
expect 'odd\ name temp/air temp/sea' untorn get alpha ''
expect "temp/air temp/sea" untorn get alpha temp/
expect "temp/sea" untorn rm alpha temp/s
expect "temp/air temp/sea" untorn get --region 0:5 alpha temp/
expect "temp/air temp/sea" untorn get --region = 0:5 alpha temp/
expect "temp/air temp/sea" untorn get -o file alpha temp/
expect "temp/air temp/sea" untorn follow --wait alpha temp/
expect "" untorn get missing ''
expect "" untorn get beta ''
expect "alpha alps beta" shmstat ''
expect "alpha/temp/air alpha/temp/sea" shmstat alpha/t

echo "== values and files"
expect "lz4 none" untorn put alpha x --codec ''
expect "none" untorn put alpha x --codec = n
expect "lz4 none" untorn put alpha x --codec =
expect "json npy raw text" untorn follow alpha x --format ''
expect "2 3" untorn create gamma --format ''
expect "on-demand" untorn create gamma --flush-interval o
expect "stores" untorn create gamma --store ''
expect "" untorn create gamma --size ''
expect "one.npy stores two.npy" untorn put alpha x ''
expect "two.npy" untorn put alpha x t
expect "two.npy" untorn get alpha x --output t
expect "stores" untorn load ''
expect "./stores" untorn verify ./s
commits=$(untorn log alpha | awk '$1 ~ /^[0-9]+$/ { print $1 }' | sort | paste -sd ' ')
[ -n "$commits" ] || fail "untorn log alpha names no commits"
expect "$commits" untorn get alpha x --commit ''

echo "== without the programs there is nothing to offer, and no complaint"
PATH=$scratch/empty:/usr/bin:/bin
if command -v untorn >/dev/null; then
    echo "another untorn is in /usr/bin"
else
    message=$(offered untorn get alpha '' 2>&1)
    [ -z "$message" ] || fail "said: $message"
fi
