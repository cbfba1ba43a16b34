#!/bin/bash
# SPDX-License-Identifier: MIT
# What a test leaves in its temporary directory and among the segments is gone after it, however it
# ended: passed, failed, killed, still running at the limit.
set -u
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
fail() { echo "$*" >&2; exit 1; }

mkdir "$scratch/top" "$scratch/top/tests" "$scratch/tmp" "$scratch/shm" "$scratch/build" || exit 1
test_that() { # name, how it ends
    local script=$scratch/top/tests/test_$1.sh
    printf '#!/bin/bash\n%s\n%s\n' \
        'mktemp -d && touch "$TMPDIR/left" "$UNTORN_SHM_DIR/untorn.left" || exit 1
         [ "$(stat -c %a "$UNTORN_SHM_DIR")" = 1777 ] || exit 1' "$2" >"$script"
    chmod +x "$script"
}
test_that passes 'exit 0'
test_that fails 'exit 1'
test_that dies 'kill -9 $$'
test_that hangs 'exec sleep 100'

said=$(cd "$scratch" && env TMPDIR="$scratch/tmp" UNTORN_SHM_DIR="$scratch/shm" TESTS='*' JOBS=4 \
    UNTORN_TEST_TIMEOUT=2 BUILD="$scratch/build" TOP="$scratch/top" \
    "$TOP/tests/run_tests.sh" "$scratch"/top/tests/test_*.sh)
echo "$said"
case $said in
*"1 passed, 3 failed, 0 skipped"*) ;;
*) fail "the tests did not end as they were to" ;;
esac
left=$(find "$scratch/tmp" "$scratch/shm" -mindepth 1)
[ -z "$left" ] || fail "left: $left"
