#!/bin/bash
# SPDX-License-Identifier: MIT
# The gate of instruction counts (bench/instructions): counts are exact, a slower path is named and
# fails, a faster one is told, and other compilers are only shown.
set -u
: "${BUILD:?}" "${TOP:?}" "${CC:?}"
PYTHON=${PYTHON:-python3}
if [ -n "${SAN:-}" ]; then
    echo "skipped: sanitizers have instructions of their own"
    exit 77
fi
command -v valgrind >/dev/null || {
    echo "skipped: valgrind is not installed"
    exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
gate=$TOP/bench/instructions/check.py

fail() {
    echo "FAILED: $*"
    failed=1
}

# build PROGRAM ARGUMENT...: the operations with the library and what else is given.
build() {
    local program=$1
    shift
    # shellcheck disable=SC2086 # several words may be the compiler
    $CC -std=c11 -D_GNU_SOURCE -O2 -Wl,-S -I"$TOP/include" -o "$work/$program" \
        "$TOP"/bench/instructions/operations.c "$TOP"/bench/support/{segment,machine}.c "$@" \
        "$BUILD/libuntorn.a" -llz4 -lxxhash -pthread || exit 1
}

# compare STATUS PROGRAM ARGUMENT...: what it prints goes to $work/out.
compare() {
    local wanted=$1 program=$2 got
    shift 2
    "$PYTHON" "$gate" "$work/$program" "$work/counts" --compiler "$CC" "$@" \
        >"$work/out" 2>"$work/err"
    got=$?
    [ "$got" = "$wanted" ] || fail "$program $*: status $got, not $wanted: $(cat "$work"/{out,err})"
}

# says OPERATION WORDS: the table has them behind the operation.
says() {
    grep -Eq "^ *$1 .* $2" "$work/out" || fail "not \"$2\" of $1: $(cat "$work/out")"
}

build plain
echo "# A comment." >"$work/counts"
compare 0 plain --flags=-O2
grep -q "No counts are kept" "$work/out" || fail "nothing is kept, and it does not say so"
compare 0 plain --flags=-O2 --write
cp "$work/counts" "$work/first"
head -n 1 "$work/counts" | grep -q "^# A comment.$" || fail "the comment is gone"
for operation in read_64 read_16_chunks commit_64 append_1 snapshot_16 wait_new; do
    grep -Eq "^$operation +[1-9]" "$work/counts" || fail "there is no count of $operation"
done

# The same program takes the same instructions, each time.
compare 0 plain --flags=-O2 --write
cmp -s "$work/first" "$work/counts" || fail "$(diff "$work/first" "$work/counts")"
says read_64 "as kept"

# A path that got slower.
cat >"$work/slow.c" <<'C'
int __real_ut_ring_prepare(void *publisher, void *object);
int __wrap_ut_ring_prepare(void *publisher, void *object);
int __wrap_ut_ring_prepare(void *publisher, void *object) {
    for (volatile int i = 0; i < 30; i++)
        ;
    return __real_ut_ring_prepare(publisher, object);
}
C
build slow "$work/slow.c" -Wl,--wrap=ut_ring_prepare
compare 1 slow --flags=-O2
says commit_64 ABOVE
says append_1 ABOVE
says read_64 "as kept"
compare 0 slow --flags=-O1
compare 0 slow --flags=-O2 --write
compare 0 plain --flags=-O2
says commit_64 "below"

compare 2 no-such-program --flags=-O2
[ "$failed" = 0 ]
