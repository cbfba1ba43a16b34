#!/bin/bash
# SPDX-License-Identifier: MIT
# docs/segment-layout.md is right and sufficient:
#   1. its tables of offsets, sizes and constants are those of the headers;
#   2. the signature it names is this build's;
#   3. layout_reader.py, written from it alone, reads the same arrays as `untorn get`;
#   4. also where chunks are only in the store, one by one and by subtrees;
#   5. and reads whole arrays from a segment that is being rewritten.
# The first needs a compiler only.  Environment: TOP, BUILD, CC, PYTHON.
set -euo pipefail
: "${TOP:?}" "${BUILD:?}"
cc=${CC:-cc}
scratch=$(mktemp -d)
# A store of many small files, each synced: in memory if possible.
stores=$(mktemp -d "${UNTORN_SHM_DIR:-/dev/shm}/layout.XXXXXX" 2>/dev/null) || stores=$scratch
store=$stores/store
segment=test-layout-$$
writer=
clean_up() {
    [ -z "$writer" ] || { kill -KILL "$writer" && wait "$writer"; } 2>/dev/null || true
    "$BUILD/untorn" rm "$segment" 2>/dev/null || true
    "$BUILD/untorn" rm "$segment-live" 2>/dev/null || true
    "$BUILD/untorn" rm "$segment-stored" 2>/dev/null || true
    rm -rf "$scratch" "$stores"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

doc=$TOP/docs/segment-layout.md
untorn=$BUILD/untorn
compile() { "$cc" -std=c11 -D_GNU_SOURCE -I"$TOP/include" -I"$TOP/src" -Wall -Wextra -Werror "$@"; }

echo "== tables"
compile "$TOP/tests/docs/layout_offsets.c" -o "$scratch/layout_offsets"
"$scratch/layout_offsets" >"$scratch/headers"
# Rows of tables below a heading with a structure's name: | offset | size | `field` | ...
# and rows | `CONSTANT` | value | ... anywhere.
awk -F'|' '
    /^#/ { structure = ""; if (match($0, /`ut_[a-z_]+`/)) structure = substr($0, RSTART + 1, RLENGTH - 2) }
    NF > 3 {
        for (i = 2; i <= 4; i++) gsub(/[ `]/, "", $i)
        if (structure != "" && $2 ~ /^[0-9]+$/ && $3 ~ /^[0-9]+$/) print structure, $4, $2, $3
        else if ($2 ~ /^(UT|UNTORN)_[A-Z_]+$/ && $3 ~ /^[0-9]+$/) print "constant", $2, $3
    }' "$doc" >"$scratch/document"
diff -u <(sort "$scratch/headers") <(sort "$scratch/document") ||
    { echo "docs/segment-layout.md (+) differs from the headers (-)"; exit 1; }
echo "$(wc -l <"$scratch/document") rows agree"

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 7))' 2>/dev/null || {
    echo "skipped: no Python 3"
    exit 77
}
reader() { PYTHONDONTWRITEBYTECODE=1 "$python" "$TOP/tests/docs/layout_reader.py" "$@"; }

echo "== signature"
status=0
signature=$(reader signature) || status=$?
case $status in
0) grep -q "$signature" "$doc" || { echo "the document does not name $signature"; exit 1; } ;;
77) echo "$signature" ;;
*) exit 1 ;;
esac

echo "== arrays"
bytes() { head -c "$1" /dev/urandom; }
put() { # name dtype shape bytes options...
    local name=$1 dtype=$2 shape=$3 count=$4
    shift 4
    bytes "$count" | "$untorn" put "$segment" "$name" --dtype "$dtype" --shape "$shape" "$@"
}
"$untorn" create "$segment" --size 64M
head -c 2000 /dev/zero | tr '\0' '\1' | "$untorn" put "$segment" bools --dtype '?' --shape 2000 --chunks 300
put one i2 1 2
put bytes u1 10,10 100 --chunks 3,4 --attrs '{"units": "K"}' --dims 'y,x'
put deep/int16 i2 5,6,7 420 --chunks 2,6,3
put deep/er/f8 f8 100,100 80000 --chunks 30,40
put complex c16 7,3 336 --chunks 7,2
put halves f2 4,3,2,5 240 --chunks 2,2,2,2
put text S5 50 250 --chunks 7
put raw V3 40 120 --chunks 9
put many i4 40000 160000 --chunks 16 # 2500 chunks: nodes three levels deep
put large f4 1000,700 2800000
put fill f8 10 80 --chunks 4 --fill nan
for i in 1 2 3 4 5; do # appended in place, and grown over the ring's end
    bytes 800 | "$untorn" append "$segment" growing --dtype f8 --row-shape 10 --chunks 25,10
done
for i in $(seq 20); do bytes 400 | "$untorn" put "$segment" often --dtype i4 --shape 100 --chunks 30; done
"$untorn" rm "$segment" raw
put raw V3 41 123 --chunks 9 # in a header that was used before
reader compare "$segment" "$untorn"

echo "== from the store"
# The first segment's arrays, flushed; one made from that has none of its chunks in memory.
"$untorn" create "$segment-stored" --size 64M --store "$store" --flush-interval on-demand
into_store() { "$untorn" put "$segment-stored" "$@"; }
bytes 70400 | into_store many --dtype i4 --shape 17600 --chunks 16 # 1100 chunks: three levels
seq 40000 | "$python" -c 'import sys, array; array.array("d", map(float, sys.stdin)).tofile(sys.stdout.buffer)' |
    into_store smooth --dtype f8 --shape 200,200 --chunks 60,90 # compresses
bytes 80000 | into_store plain --dtype f8 --shape 100,100 --chunks 30,40 --codec none
bytes 8 | into_store scalar --dtype f8 --shape ''
bytes 250 | into_store text --dtype S5 --shape 50 --chunks 7
bytes 800 | "$untorn" append "$segment-stored" growing --dtype f8 --row-shape 10 --chunks 25,10
bytes 40 | into_store tiny --dtype u1 --shape 40 --chunks 1
"$untorn" flush "$segment-stored"
"$untorn" rm "$segment-stored"
"$untorn" load "$store" "$segment-stored" --size 64M --flush-interval on-demand
reader stored "$segment-stored" "$untorn"
# Some chunks come back: nodes are made where subtrees were, of cells of both kinds.
bytes 400 | "$untorn" put "$segment-stored" many --dtype i4 --shape 100 --region 10000:10100
bytes 800 | "$untorn" append "$segment-stored" growing --dtype f8 --row-shape 10
reader stored "$segment-stored" "$untorn"

echo "== while it is being rewritten"
compile "$TOP/tests/docs/uniform_writer.c" -o "$scratch/uniform_writer" "$BUILD/libuntorn.a" \
    ${SAN:+-fsanitize=$SAN} -pthread -lxxhash -llz4
"$scratch/uniform_writer" "$segment-live" values &
writer=$!
for _ in $(seq 3000); do
    [ -n "$("$untorn" get "$segment-live" values 2>/dev/null | head -c 1)" ] && break
    sleep 0.05
done
reader uniform "$segment-live" values 2000
kill -0 "$writer" || { echo "the writer failed"; exit 1; }
