#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one of the Python tests beside this script with a directory for segments of its own (so that
# the machine's other segments are not seen), and tests/shmstat/actor.c compiled.  Everything is
# removed at the end however the test ends.  Exit status 77, skipped, without Python 3.
set -u
: "${TOP:?}" "${BUILD:?}"
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 7))' 2>/dev/null || {
    echo 'skipped: Python 3 is missing'
    exit 77
}
# Segments and stores in memory if that can be had: the disk may not reserve space.  Programs not
# there: in containers it is often mounted noexec.
base=${UNTORN_SHM_DIR:-/dev/shm}
[ -w "$base" ] || base=${TMPDIR:-/tmp}
PROGRAMS=$(mktemp -d) || exit 1
WORK=$(mktemp -d "$base/test-shmstat-XXXXXX")
trap 'rm -rf "$WORK" "$PROGRAMS"' EXIT
trap 'exit 1' INT TERM HUP
mkdir "$WORK/shm" || exit 1
chmod 755 "$WORK" "$WORK/shm" "$PROGRAMS"
UNTORN_SHM_DIR=$WORK/shm
export PROGRAMS WORK UNTORN_SHM_DIR
"${CC:-cc}" -std=c11 -D_GNU_SOURCE -I"$TOP/include" -Wall -Wextra -Werror \
    "$TOP/tests/shmstat/actor.c" -o "$PROGRAMS/actor" "$BUILD/libuntorn.a" \
    ${SAN:+-fsanitize=$SAN} -pthread -lxxhash -llz4 || exit 1
PYTHONDONTWRITEBYTECODE=1 "$python" "$TOP/tests/shmstat/$1"
