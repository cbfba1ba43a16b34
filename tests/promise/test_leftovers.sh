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

# The one that hangs by itself: the others are not to be judged by such a limit.
run() { # limit, how they are to end, names
    local said limit=$1 wanted=$2
    shift 2
    said=$(cd "$scratch" && env TMPDIR="$scratch/tmp" UNTORN_SHM_DIR="$scratch/shm" TESTS='*' \
        JOBS=4 UNTORN_TEST_TIMEOUT="$limit" BUILD="$scratch/build" TOP="$scratch/top" \
        "$TOP/tests/run_tests.sh" "${@/#/$scratch/top/tests/test_}")
    echo "$said"
    case $said in
    *"$wanted"*) ;;
    *) fail "the tests did not end as they were to" ;;
    esac
}
run 150 "1 passed, 2 failed, 0 skipped" passes.sh fails.sh dies.sh
run 2 "0 passed, 1 failed, 0 skipped" hangs.sh
left=$(find "$scratch/tmp" "$scratch/shm" -mindepth 1)
[ -z "$left" ] || fail "left: $left"
