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
#
# Tests see the same environment wherever they run: locale, umask, limits and signals are set here.
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
    # As the library gives them back: without links and double slashes.
    TMPDIR=$(realpath "$scratch") && UNTORN_SHM_DIR=$(realpath "$shm") || exit 1
    export TMPDIR UNTORN_SHM_DIR
}

run_one() {
    local program=$1 name log result status begin took
    name=$(name_of "$program")
    log=$BUILD/results/$name.log
    mkdir -p "$(dirname "$log")"
    begin=$(date +%s%N)
    # In braces, for bash to say "Killed" nowhere but below.
    # shellcheck disable=SC2086 # the runner may have arguments
    { timeout -k 10 "$limit" ${UNTORN_TEST_RUNNER:-} "$program" >"$log" 2>&1 </dev/null; } 2>/dev/null
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

# What a user, a shell or a CI system may have set otherwise.
same_environment() {
    # Ranges such as [a-z] are of ASCII, messages in English, text in UTF-8.
    unset LANGUAGE CDPATH GREP_OPTIONS POSIXLY_CORRECT GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
    export LC_ALL=C.UTF-8
    umask 022
    ulimit -S -c 0
    # Without a limit of the stack the kernel lays out memory as it once did, which sanitizers do not know.
    [ "$(ulimit -S -s)" != unlimited ] || ulimit -S -s 8192
}

# Whether a file in the directory can be executed: tests compile programs.
can_execute() {
    local file can=1
    file=$(mktemp "$1/untorn-test.XXXXXX" 2>/dev/null) || return
    printf '#!/bin/sh\n' >"$file" && chmod 755 "$file" && "$file" 2>/dev/null && can=0
    rm -f "$file"
    return "$can"
}

# Whether the kernel spreads addresses more widely than over 2^28 pages (vm.mmap_rnd_bits, which only
# root may read).
is_widely_spread() {
    for _ in 1 2 3 4 5 6 7 8; do
        ! grep -q '^7[0-9a-d]' /proc/self/maps || return 0
    done
    return 1
}

# Segments in memory, unless that is small: in containers /dev/shm often has 64 MiB.
choose_shm() {
    local free
    [ -z "${UNTORN_SHM_DIR:-}" ] || return 0
    free=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }')
    [ "${free:-0}" -lt 512 ] || return 0
    echo "note: /dev/shm has ${free:-0} MiB free: what is to be in memory is on the disk, and slow"
    export UNTORN_SHM_DIR=${TMPDIR:-/tmp}
}

# Sanitizers of some age do not know every layout of addresses: sets `fixed` to what gives programs
# the same one each time.  Fails if they need that and it is not to be had, as in many containers.
fix_layout() {
    fixed=()
    if [ -z "${SAN:-}" ] || { [ "$SAN" != thread ] && ! is_widely_spread; }; then
        return 0
    fi
    if setarch -R true 2>/dev/null; then
        fixed=(setarch -R)
        return 0
    fi
    is_widely_spread || return 0
    local program=$BUILD/results/layout-probe
    echo 'int main(void) { return 0; }' | ${CC:-cc} -fsanitize="$SAN" -x c -o "$program" - || return
    for _ in {1..100}; do
        timeout 10 "$program" >/dev/null 2>&1 || return
    done
}

if [ "${1:-}" = --one ]; then
    make_directories
    run_one "$2"
    exit 0
fi

: "${BUILD:?}" "${TOP:?}"
export BUILD TOP
export TSAN_OPTIONS="die_after_fork=0:${TSAN_OPTIONS:-}"
same_environment
rm -rf "$BUILD/results"
mkdir -p "$BUILD/results"
if ! can_execute "${TMPDIR:-/tmp}"; then
    export TMPDIR=$BUILD/tmp
    mkdir -p "$TMPDIR"
fi
choose_shm

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
if ! fix_layout; then
    echo "SKIP  all: addresses are spread more widely than the sanitizer knows, and setarch -R is refused"
    echo "0 passed, 0 failed, ${#chosen[@]} skipped"
    exit 0
fi
# Signals that whoever runs this ignores, such as SIGPIPE, tests would ignore, too.
if env --default-signal=HUP,INT,QUIT,PIPE,TERM,XFSZ true 2>/dev/null; then
    fixed+=(env --default-signal=HUP,INT,QUIT,PIPE,TERM,XFSZ)
fi
printf '%s\0' "${chosen[@]}" | "${fixed[@]}" xargs -0 -n 1 -P "${JOBS:-2}" "$0" --one

# Counted from the files, so that a test whose result is missing is a failed one.
results() {
    find "$BUILD/results" -name '*.result' -exec grep -lx "$1" {} + | wc -l
}
passed=$(results PASS)
skipped=$(results SKIP)
failed=$((${#chosen[@]} - passed - skipped))
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
