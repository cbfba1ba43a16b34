# SPDX-License-Identifier: MIT
# For scripts to source: directories of a test's own, and an end that leaves nothing behind.
#
# $scratch is an empty directory; segments go to $shm, in memory if possible, so that those of fixed
# names, as documents have, meet no others.  Whatever way the script ends, the processes that it
# still has in the background are killed, and both directories removed.

scratch=$(mktemp -d)
shm=$(mktemp -d "${UNTORN_SHM_DIR:-/dev/shm}/untorn-test.XXXXXX" 2>/dev/null) ||
    { shm=$scratch/shm && mkdir "$shm"; }
export UNTORN_SHM_DIR=$shm

clean_up() {
    local left
    mapfile -t left < <(jobs -p)
    if [ "${#left[@]}" != 0 ]; then
        kill -KILL "${left[@]}" 2>/dev/null || true # some may have ended
        wait "${left[@]}" 2>/dev/null || true
    fi
    rm -rf "$scratch" "$shm"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

fail() { echo "$*"; exit 1; }
