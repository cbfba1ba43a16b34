#!/bin/sh
# SPDX-License-Identifier: MIT
# The demo: real kernel counters recorded into a segment, read by three processes that check every
# row, through a SIGKILL of the recorder and a restart from the store.  driver.c says what happens;
# this script gives it a segment and a directory of its own and removes both however it ends.  The
# store stays, until the next run.
#
# Environment: BUILD (the build directory), DEMO_SECONDS (for each of the two recorders, default 9),
# DEMO_STORE (where the store is to be; what is there must be none but an earlier run's).
set -u

: "${BUILD:?the build directory}"
segment="demo-$$"
directory=$(mktemp -d "${TMPDIR:-/tmp}/untorn-demo.XXXXXX") || exit 1
store=${DEMO_STORE:-$BUILD/demo-store}
store=${store#"$PWD/"}
driver=

clean_up() {
    trap - EXIT INT TERM HUP
    # The processes that the driver started end with it.
    if [ -n "$driver" ]; then
        kill -KILL "$driver" 2>/dev/null
        wait "$driver" 2>/dev/null
        sleep 0.1
    fi
    "$BUILD/untorn" rm "$segment" >/dev/null 2>&1
    rm -f "${UNTORN_SHM_DIR:-/dev/shm}/untorn.$segment" \
        "${UNTORN_SHM_DIR:-/dev/shm}/untorn.$segment"~*
    rm -rf "$directory"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT TERM HUP

# Only what looks like a store is removed.
if [ -d "$store/snapshots" ] && [ -d "$store/arrays" ]; then
    rm -rf "$store"
fi
"$BUILD/demo/driver" "$segment" "$directory" "$BUILD" "$store" &
driver=$!
wait "$driver"
status=$?
driver=
exit "$status"
