#!/bin/bash
# SPDX-License-Identifier: MIT
# docs/guide.md is true: its C programs compile with warnings as errors, and its other C blocks do as
# parts of a function; what "With a store" shows in the shell, in C and in Python works as written.
#
# Environment: TOP, BUILD, CC, SAN, PYTHON.
set -euo pipefail
: "${TOP:?}" "${BUILD:?}"
cc=${CC:-cc}
scratch=$(mktemp -d)
# The guide's segment has a fixed name: give it a directory of its own, in memory if possible.
shm=$(mktemp -d /dev/shm/untorn-test-guide.XXXXXX 2>/dev/null) || { shm=$scratch/shm && mkdir "$shm"; }
export UNTORN_SHM_DIR=$shm
export PATH=$BUILD:$PATH
trap 'rm -rf "$scratch" "$shm"' EXIT
trap 'exit 1' INT TERM HUP
fail() { echo "$*"; exit 1; }
guide=$TOP/docs/guide.md
cd "$scratch"

echo "== C blocks"
# A block that begins with the name of a file is a program; others are parts of a function that has
# handles of these names.
awk '
    /^```c$/ { inside = 1; file = ""; next }
    /^```/   { if (inside && part) print "}" > file; inside = 0 }
    inside && file == "" {
        part = !/^\/\/ [a-z_]+\.c$/
        file = part ? sprintf("part%d.c", ++parts) : $2
        if (part) {
            print "#include <stdio.h>\n#include <untorn.h>" > file
            print "void part(untorn_reader *reader, untorn_array *xs, untorn_array *ys);" > file
            print "void part(untorn_reader *reader, untorn_array *xs, untorn_array *ys) {" > file
        }
    }
    inside { print > file }' "$guide"
for file in part*.c; do
    "$cc" -std=c11 -Wall -Wextra -Werror -Wno-unused -Wno-unused-parameter \
        -Wno-unused-but-set-parameter -I"$TOP/include" -c -o "${file%.c}.o" "$file"
done
[ -f recorder.c ] || fail "the guide has no recorder.c"
"$cc" -std=c11 -Wall -Wextra -Werror ${SAN:+-fsanitize=$SAN} -I"$TOP/include" -o recorder recorder.c \
    "$BUILD/libuntorn.a" -pthread -lxxhash -llz4
echo "recorder and $(ls part*.c | wc -l) parts compile"

echo "== with a store: in C"
./recorder
[ "$(du -sb lab.store | cut -f1)" -gt 1000 ] || fail "there is nothing in the store"
rows() { untorn get lab samples --region "$1" | tail -c 8000 | od -An -tf8 -w8 -v | sort -u | tr -d ' \n'; }
[ "$(rows 0)" = 0 ] && [ "$(rows 1234)" = 1234 ] && [ "$(rows 3999)" = 3999 ] ||
    fail "rows are wrong: $(rows 0) $(rows 1234) $(rows 3999)"
untorn verify lab.store

echo "== with a store: in Python"
python=${PYTHON:-python3}
if "$python" -c 'import zarr' 2>/dev/null; then
    awk '/^## With a store/ { section = 1 } /^## Choosing/ { section = 0 }
         section && /^```python$/ { inside = 1; next } /^```/ { inside = 0 } inside' "$guide" >block.py
    "$python" block.py | grep -qF '(4000, 1000)' || fail "the Python block printed something else"
else
    echo "skipped: no zarr-python"
fi

echo "== with a store: in the shell"
untorn rm lab
rm -rf lab.store
awk '/^## With a store/ { section = 1 } /^## Choosing/ { section = 0 }
     section && /^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside' "$guide" >blocks.sh
sed -i '/^untorn rm lab/i untorn get lab image -o before.npy' blocks.sh
bash -euo pipefail blocks.sh
cmp before.npy image.npy
