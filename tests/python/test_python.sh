#!/bin/bash
# SPDX-License-Identifier: MIT
# src/python/untorn.py and docs/python.md: the module's structures are the header's, member by member;
# it does what it says (check_module.py); the document's programs run as they stand, producer and
# consumer at once, and the document's table names what the module has.
#
# Environment: TOP, BUILD, CC, SAN, PYTHON.
set -euo pipefail
: "${TOP:?}" "${BUILD:?}"
[ -z "${SAN:-}" ] || { echo "skipped: Python does not load a library with sanitizers"; exit 77; }
python=${PYTHON:-python3}
has() { "$python" -c "import sys, $1; sys.exit(sys.version_info < (3, 8))" 2>/dev/null; }
has numpy || python=/usr/bin/python3
has numpy || { echo "skipped: no Python 3.8 with NumPy"; exit 77; }

. "$TOP/tests/support/scratch.sh"
export PATH=$BUILD:$PATH PYTHONPATH=$TOP/src/python PYTHONDONTWRITEBYTECODE=1
export UNTORN_LIBRARY=$BUILD/libuntorn.so
cd "$scratch"

echo "== structures"
# "structure member offset size" of every member, by the header and by the module.  A member that only
# the header has is found by the size of the structure.
"$python" - <<'END' >layout.c
import untorn
print("#include <stddef.h>\n#include <stdio.h>\n#include <untorn.h>\nint main(void) {")
for name, structure in untorn.STRUCTURES.items():
    print(f'printf("{name} %zu\\n", sizeof({name}));')
    for member, *_ in structure._fields_:
        public = member.lstrip("_")
        print(f'printf("{name}.{member} %zu %zu\\n", offsetof({name}, {public}),'
              f" sizeof((({name} *)0)->{public}));")
print("return 0; }")
END
"${CC:-cc}" -I"$TOP/include" -o layout layout.c
./layout >header
"$python" - <<'END' >module
import ctypes, untorn
for name, structure in untorn.STRUCTURES.items():
    print(name, ctypes.sizeof(structure))
    for member, *_ in structure._fields_:
        at = getattr(structure, member)
        print(f"{name}.{member} {at.offset} {at.size}")
END
diff header module || fail "the header (<) and the module (>) differ"
for number in "UNTORN_MAX_RANK $("$python" -c 'import untorn; print(untorn.MAX_RANK)')" \
    "UNTORN_GROW $("$python" -c 'import untorn; print(untorn._GROW)')"; do
    grep -qE "^#define ${number}u?( |$)" "$TOP/include/untorn.h" || fail "the header has no $number"
done
for status in INTERRUPTED:42 NO_SEGMENT:20 NO_ARRAY:22 TIMEOUT:41; do
    grep -q "X(UNTORN_E_${status%:*}, ${status#*:}," "$TOP/include/untorn.h" || fail "other numbers: $status"
done
grep -q 'UNTORN_KIND_ARRAY = 2 ' "$TOP/include/untorn.h" || fail "UNTORN_KIND_ARRAY is not 2"
echo "$(wc -l <module) structures and members"

echo "== module"
timeout 300 "$python" "$TOP/tests/python/check_module.py"

echo "== docs/python.md"
# Each ```python block goes to the file that its first line names.
awk '
    /^```python$/ { inside = 1; next }
    /^```/        { inside = 0; file = "" }
    inside && file == "" && /^# [a-z_]+\.py$/ { file = $2 }
    inside        { if (file == "") { print "a block without a name"; exit 1 } print > file }
    ' "$TOP/docs/python.md"
# The consumer is the first, and waits for the segment; here as long as the machine may take to start
# a program.
sed 's/timeout=10\b/timeout=90/' consumer.py >patient.py
! cmp -s consumer.py patient.py || fail "consumer.py has other timeouts than this test thinks"
(sleep 0.5 && exec "$python" producer.py) &
producer=$!
timeout 300 "$python" patient.py >output || fail "the consumer failed"
cat output
[ "$(grep -c 'rows, the last one' output)" = 5 ] || fail "it did not read 5 times"
[ "$(sed -n 's/ rows,.*//p' output | sort -n | uniq | wc -l)" = 5 ] || fail "a wait brought nothing new"
timeout 300 "$python" piped.py >output || fail "piped.py failed"
grep -qx '([0-9]*, 3)' output || fail "piped.py printed something else: $(cat output)"
if "$python" -c 'import zarr' 2>/dev/null; then
    untorn flush weather >/dev/null
    timeout 300 "$python" stored.py >output || fail "stored.py failed"
    grep -q '^[1-9][0-9]* rows are on disk$' output || fail "stored.py printed something else: $(cat output)"
else
    echo "skipped: no zarr-python"
fi
wait "$producer" || fail "the producer failed"
untorn get weather station/wind --region -1: | tail -c 24 | od -An -tf8 -w8 -v | sort -u | tr -d ' ' |
    grep -qx 499 || fail "the last row is not the last"
# Every `.name(` and `Name(` of the table is there.
sed -n '/^| `Writer(/,/^$/p' "$TOP/docs/python.md" | grep -oE '\.[a-z_]+\(' | tr -d '.(' | grep -v '^untorn' |
    sort -u | while read -r name; do
        grep -qE "^ *def $name\(" "$TOP/src/python/untorn.py" || fail "the module has no $name()"
    done
