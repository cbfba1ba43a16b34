#!/bin/bash
# SPDX-License-Identifier: MIT
# docs/guide.md is true: its C programs compile with warnings as errors, and its other C blocks do as
# parts of a function; what "In the shell" shows works, with programs of those names; what "With a store"
# shows in the shell, in C and in Python works as written, as does the Python program of docs/store.md.
#
# Environment: TOP, BUILD, CC, SAN, PYTHON.
set -euo pipefail
: "${TOP:?}" "${BUILD:?}"
cc=${CC:-cc}
. "$TOP/tests/support/scratch.sh"
export PATH=$BUILD:$PATH
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

echo "== in the shell"
mkdir bin
printf '#!/bin/sh\nexec cat >/dev/null\n' >bin/my-plotter
printf '#!/bin/sh\nexec head -c 12800 /dev/zero\n' >bin/my-instrument
chmod +x bin/*
head -c 240000 /dev/urandom | untorn put made image --dtype f8 --shape 200,150
untorn get made image -o image.npy
untorn rm made
awk '/^## In the shell/ { section = 1 } /^## In C/ { section = 0 }
     section && /^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside' "$guide" |
    sed -e 's/^untorn follow [^|]*/& --count 1 /' -e 's/--count 1  *--count 1/--count 1/' \
        -e 's/--for 10/--for 1/' >blocks.sh
[ "$(grep -c untorn blocks.sh)" -gt 10 ] || fail "few commands were found"
PATH=$PWD/bin:$PATH timeout 300 bash -euo pipefail blocks.sh
cmp image.npy <(untorn get lab a) || fail "what was read is not what was put"
[ -s memory.npy ] && [ "$(wc -c <every-eighth.npy)" -lt "$(wc -c <copy.npy)" ] || fail "files are missing"
untorn rm lab

echo "== with a store: in C"
./recorder
[ "$(du -sb lab.store | cut -f1)" -gt 1000 ] || fail "there is nothing in the store"
rows() { untorn get lab samples --region "$1" | tail -c 8000 | od -An -tf8 -w8 -v | sort -u | tr -d ' \n'; }
[ "$(rows 0)" = 0 ] && [ "$(rows 1234)" = 1234 ] && [ "$(rows 3999)" = 3999 ] ||
    fail "rows are wrong: $(rows 0) $(rows 1234) $(rows 3999)"
untorn verify lab.store

echo "== with a store: in Python"
python=${PYTHON:-python3}
if command -v "$python" >/dev/null; then
    awk '/^```python$/ { inside = 1; text = ""; next }
         /^```/ { if (inside && text ~ /hold_latest/) printf "%s", text; inside = 0 }
         inside { text = text $0 "\n" }' "$TOP/docs/store.md" | sed 's/"STORE"/"lab.store"/' >lease.py
    cat >>lease.py <<'END'
assert os.path.isdir(path) and path == os.path.realpath("lab.store/latest"), path
other = open(lease.name, "rb")
try:
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    raise SystemExit("the lease is not held")
except BlockingIOError:
    pass
lease.close()
fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
END
    "$python" lease.py
fi
if "$python" -c 'import zarr' 2>/dev/null; then
    awk '/^## With a store/ { section = 1 } /^## Choosing/ { section = 0 }
         section && /^```python$/ { inside = 1; next } /^```/ { inside = 0 } inside' "$guide" >block.py
    "$python" block.py >output || fail "the Python block failed"
    grep -qF '(4000, 1000)' output || fail "the Python block printed something else: $(cat output)"
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
