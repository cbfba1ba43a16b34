#!/bin/bash
# SPDX-License-Identifier: MIT
# The README is true: its C blocks compile as they stand with warnings as errors, producer and
# consumer work together, its files and links (and those of docs/) exist, its examples of the command
# run in their order, its shell examples and the guide's name commands and options that exist, and its
# figures are those of docs/performance.md.
#
# Environment: TOP, BUILD, CC, SAN.
set -euo pipefail
: "${TOP:?}" "${BUILD:?}"
cc=${CC:-cc}
. "$TOP/tests/support/scratch.sh"
readme=$TOP/README.md

echo "== figures"
# Every row of the table of ways, cell by cell, in a row of the same name in the document.
rows=0
while IFS='|' read -r _ way cells; do
    found=
    while IFS= read -r line; do
        found=yes rest=$cells
        while [ -n "$rest" ] && [ -n "$found" ]; do
            case $line in *"|${rest%%|*}|"*) rest=${rest#*|} ;; *) found= ;; esac
        done
        [ -z "$found" ] || break
    done < <(grep -F "|$way|" "$TOP/docs/performance.md")
    [ -n "$found" ] || fail "the README's row \"$way\" is not in docs/performance.md"
    rows=$((rows + 1))
done < <(sed -n '/^| way |/,/^$/p' "$readme" | grep -v -e '^| way' -e '^|--' -e '^$')
[ "$rows" -gt 5 ] || fail "only $rows ways were compared"

echo "== C blocks"
# Each ```c block goes to the file that its first line names.
awk -v dir="$scratch" '
    /^```c$/ { inside = 1; next }
    /^```/   { inside = 0; file = "" }
    inside && file == "" && /^\/\/ [a-z_]+\.c$/ { file = dir "/" $2 }
    inside   { if (file == "") { print "a C block without a name"; exit 1 } print > file }' "$readme"
for name in producer consumer; do
    [ -f "$scratch/$name.c" ] || fail "the README has no $name.c"
    "$cc" -Wall -Wextra -Werror ${SAN:+-fsanitize=$SAN} -I"$TOP/include" -o "$scratch/$name" \
        "$scratch/$name.c" "$BUILD/libuntorn.a" -pthread -lxxhash -llz4
done

echo "== producer and consumer"
if "$scratch/consumer" 2>"$scratch/error"; then fail "a consumer without a segment should fail"; fi
grep -q 'segment "lab": does not exist' "$scratch/error" || fail "message: $(cat "$scratch/error")"
"$scratch/producer" &
producer=$!
for _ in $(seq 5000); do
    "$BUILD/untorn" get lab frames --region 0:1,0:1 >/dev/null 2>&1 && break
    sleep 0.02
done
for run in 1 2 3; do
    timeout 150 "$scratch/consumer" >"$scratch/output" || fail "consumer failed"
    awk '
        !/^first element [0-9]+, last element [0-9]+$/ || $3 + 0 != $6 || $6 <= last { exit 1 }
        { last = $6; lines++ }
        END { if (lines != 5) exit 1 }' "$scratch/output" ||
        fail "run $run printed: $(cat "$scratch/output")"
done
cat "$scratch/output"
kill -KILL "$producer"
wait "$producer" 2>/dev/null || true
status=0
timeout 150 "$scratch/consumer" >"$scratch/output" 2>"$scratch/error" || status=$?
[ "$status" = 1 ] && [ "$(wc -l <"$scratch/output")" = 1 ] && grep -q 'died' "$scratch/error" ||
    fail "after the producer's death: status $status, $(cat "$scratch/output" "$scratch/error")"

echo "== the command"
# As they stand, but for those that would run for long.
"$BUILD/untorn" rm lab
mkdir "$scratch/command"
(
    cd "$scratch/command"
    PATH=$BUILD:$PATH
    for file in readings more; do
        head -c 480 /dev/urandom | untorn put made "$file" --dtype f8 --shape 20,3
        untorn get made "$file" -o "$file.npy"
    done
    untorn rm made
    awk '/^## The command/ { section = 1 } /^## The source/ { section = 0 }
         section && /^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside' "$readme" |
        sed -e 's/^untorn follow .*/& --count 1/' -e 's/--for 60/--for 1/' >blocks.sh
    [ "$(grep -c '^untorn' blocks.sh)" -gt 12 ] || fail "few commands were found"
    timeout 300 bash -euo pipefail blocks.sh >output 2>&1 || fail "$(cat output)"
    # "resolve the link": it names the newest snapshot, which the last commands brought back.
    [ "$(cd lab.store/latest && pwd -P)" = "$(cd lab.store/snapshots && pwd -P)/$(readlink lab.store/latest |
        sed 's|.*/||')" ] || fail "latest is not a link to the newest snapshot"
    untorn get lab temperature -o after.npy
    cmp readings.npy after.npy || fail "what was loaded is not what was put"
    [ -d copy.store/latest/ ] && [ "$(wc -c <last.npy)" -lt "$(wc -c <readings.npy)" ] || fail "files are missing"
    untorn rm lab
)

echo "== commands and options, in README.md and docs/guide.md"
awk '/^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside' "$readme" "$TOP/docs/guide.md" |
    grep -oE '(^|[|] *)untorn [a-z]+[^|#>]*' | sed 's/^[| ]*//' | while read -r _ command rest; do
    "$BUILD/untorn" "$command" --help >"$scratch/help" 2>&1 || fail "no command $command"
    for option in $(grep -oE '(^| )--?[a-z][a-z-]*' <<<"$rest" || true); do
        grep -qE "(^|[ ,])$option( |,|$)" "$scratch/help" || fail "untorn $command has no $option"
        grep -E "(^|[ ,])$option " "$scratch/help" | grep -q 'not supported' &&
            fail "untorn $command $option is not supported"
    done
    echo "untorn $command"
done | sort | uniq -c

echo "== links and files"
documents=("$readme" "$TOP"/docs/*.md "$TOP"/docs/performance/*.md)
for document in "${documents[@]}"; do
    { grep -oE '\]\([^)#]+[)#]' "$document" || true; } | tr -d '])(#' | { grep -v '^http' || true; } |
        while read -r target; do
            [ -e "$(dirname "$document")/$target" ] || fail "$document: no file $target"
        done
done
# Links to headings, in the form that GitHub gives them.
anchors() { sed '/^```/,/^```/d' "$1" | grep '^#' | sed 's/^#* //' | tr 'A-Z' 'a-z' |
    sed 's/[^a-z0-9 _-]//g; s/ /-/g'; }
for document in "${documents[@]}"; do
    { grep -oE '\]\([^) ]*#[^)]+\)' "$document" || true; } | sed 's/^](//; s/)$//' |
        { grep -v '^http' || true; } | while IFS='#' read -r target anchor; do
        file=${target:+$(dirname "$document")/$target}
        # Not through a pipe: grep ends before what it reads from has written all.
        grep -qx -- "$anchor" <<<"$(anchors "${file:-$document}")" ||
            fail "$document: no heading #$anchor in ${target:-it}"
    done
done
# The source tour: the first words of each line, below the directory last named.
awk '/^## The source/ { inside = 1; next } /^## / { inside = 0 } /^Layers/ { inside = 0 }
     inside && /^    [a-z]/ { directory = $1; print directory; next }
     inside && /^      [a-z]/ {
         print directory $1
         for (i = 2; i <= NF && $(i - 1) ~ /,$/; i++) print directory $i
     }' "$readme" | tr -d , | while read -r path; do
    [ -e "$TOP/$path" ] || fail "README.md: no file $path"
done
