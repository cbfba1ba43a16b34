#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs test programs and scripts, JOBS at once, each for at most 900 seconds.  Prints a line for
# each, the output of those that fail, and at the end "N passed, N failed, N skipped".
#
#   BUILD=dir TOP=dir tests/run_tests.sh PROGRAM|SCRIPT...
#
# A test's name is its directory and file without ending; TESTS='base/*' runs only those.  Exit
# status of a test: 0 passed, 77 skipped, anything else failed.  Results are kept below
# $BUILD/results: NAME.log and NAME.result.  UNTORN_TEST_RUNNER is a command that runs programs, such
# as an emulator.
#
# Each test has directories of its own, below those that TMPDIR and UNTORN_SHM_DIR name and under
# the same names, which are removed after it: children that are killed on purpose clean up nothing.
set -u

limit=${UNTORN_TEST_TIMEOUT:-900}

name_of() {
    local path=${1#"$BUILD"/}
    path=${path#"$TOP"/}
    path=${path#*tests/}
    echo "${path%.sh}"
}

# What the test was skipped for, or how many cases a cmocka program had.
remark() {
    local log=$1 result=$2 cases
    if [ "$result" = SKIP ]; then
        tail -n 1 "$log"
        return
    fi
    cases=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log" | head -n 1)
    [ -z "$cases" ] || printf '%s cases' "$cases"
    cases=$(grep -c '^\[  SKIPPED \] [a-zA-Z_]' "$log")
    [ "$cases" = 0 ] || printf ', %s of them skipped' "$cases"
}

# Into scratch and shm, which exit removes.  Open to all as /tmp and /dev/shm are: some tests become
# another user.
make_directories() {
    scratch='' shm=''
    trap 'rm -rf -- ${scratch:+"$scratch"} ${shm:+"$shm"}' EXIT
    trap 'exit 1' HUP INT TERM
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/untorn-test.XXXXXX") || exit 1
    shm=$(mktemp -d "${UNTORN_SHM_DIR:-/dev/shm}/untorn-test.XXXXXX" 2>/dev/null) ||
        { shm=$scratch/shm && mkdir "$shm"; } || exit 1
    chmod 1777 "$scratch" "$shm" || exit 1
    export TMPDIR=$scratch UNTORN_SHM_DIR=$shm
}

run_one() {
    local program=$1 name log result status begin took
    name=$(name_of "$program")
    log=$BUILD/results/$name.log
    mkdir -p "$(dirname "$log")"
    begin=$(date +%s%N)
    # ThreadSanitizer of this age does not know every address layout: give it a fixed one.
    local fixed=()
    if [ "${SAN:-}" = thread ] && setarch -R true 2>/dev/null; then
        fixed=(setarch -R)
    fi
    # In braces, for bash to say "Killed" nowhere but below.
    # shellcheck disable=SC2086 # the runner may have arguments
    { timeout -k 10 "$limit" "${fixed[@]}" ${UNTORN_TEST_RUNNER:-} "$program" >"$log" 2>&1 </dev/null; } 2>/dev/null
    status=$?
    took=$(( ($(date +%s%N) - begin) / 10000000 ))
    took=$(printf '%d.%02d' $((took / 100)) $((took % 100)))
    case $status in
    0) result=PASS ;;
    77) result=SKIP ;;
    124) result=FAIL; echo "(still running after $limit s)" >>"$log" ;;
    137) result=FAIL; echo "(SIGKILL: out of memory, or deaf to SIGTERM at $limit s)" >>"$log" ;;
    *) result=FAIL; echo "(exit status $status)" >>"$log" ;;
    esac
    echo "$result" >"$BUILD/results/$name.result"
    # One write, so that the lines of tests that run at once do not mix.
    local text
    text=$(printf '%s  %-34s %7s s  %s' "$result" "$name" "$took" "$(remark "$log" "$result")")
    if [ "$result" = FAIL ]; then
        text+=$'\n'$(sed 's/^/    | /' "$log" | tail -n 200)
    fi
    printf '%s\n' "$text"
}

if [ "${1:-}" = --one ]; then
    make_directories
    run_one "$2"
    exit 0
fi

: "${BUILD:?}" "${TOP:?}"
export BUILD TOP
export TSAN_OPTIONS="die_after_fork=0:${TSAN_OPTIONS:-}"
rm -rf "$BUILD/results"
mkdir -p "$BUILD/results"

chosen=()
for program in "$@"; do
    case $program in /*) ;; *) program=$TOP/$program ;; esac
    # shellcheck disable=SC2254  # the pattern is meant as one
    case $(name_of "$program") in
    ${TESTS:-*}) chosen+=("$program") ;;
    esac
done
if [ ${#chosen[@]} = 0 ]; then
    echo "no test is named ${TESTS:-*}" >&2
    exit 1
fi
printf '%s\0' "${chosen[@]}" | xargs -0 -n 1 -P "${JOBS:-2}" "$0" --one

# Counted from the files, so that a test whose result is missing is a failed one.
results() {
    find "$BUILD/results" -name '*.result' -exec grep -lx "$1" {} + | wc -l
}
passed=$(results PASS)
skipped=$(results SKIP)
failed=$((${#chosen[@]} - passed - skipped))
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
