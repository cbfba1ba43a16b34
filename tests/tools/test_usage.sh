#!/bin/bash
# SPDX-License-Identifier: MIT
# The command untorn: --help, --version, wrong usage and its exit status.
set -u
: "${BUILD:?}"
untorn=$BUILD/untorn
segment=test-usage-$$
work=$(mktemp -d)
trap 'rm -rf "$work"; "$untorn" rm "$segment" 2>/dev/null; :' EXIT
failed=0

# expect STATUS ARGUMENT...: the exit status; a message if it is not 0, which goes to standard
# error as "untorn: ...", with nothing on standard output.
expect() {
    local wanted=$1 got
    shift
    "$untorn" "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    if [ "$got" != "$wanted" ]; then
        echo "FAILED: untorn $*: status $got, not $wanted: $(cat "$work/err")"
        failed=1
    elif [ "$wanted" != 0 ] && { [ -s "$work/out" ] || ! grep -q '^untorn: ' "$work/err"; }; then
        echo "FAILED: untorn $*: message: $(cat "$work/out" "$work/err")"
        failed=1
    fi
}

# printed TEXT: what the last command printed on standard output.
printed() {
    grep -qe "$1" "$work/out" || {
        echo "FAILED: \"$1\" is not in: $(cat "$work/out")"
        failed=1
    }
}

expect 0 --version
printed '^untorn [0-9]*\.[0-9]*\.[0-9]*$'
expect 0 --help
printed '^usage: untorn '
for command in create put append get follow record flush load verify log dump rm; do
    expect 0 --help
    printed "^  $command "
    expect 0 $command --help
    printed "^usage: untorn $command "
    expect 2 $command
    expect 2 $command --nonsense
    expect 2 $command a b c d e
    expect 2 $command -x
done
expect 2
expect 2 nonsense
expect 2 ''
expect 2 -x

expect 2 create "$segment" --size
for size in '' x 0 -1 1X 1Gx 99999999999999999999 20000000T 1.5G; do
    expect 2 create "$segment" --size "$size"
done
for mode in '' 8 0999 1777 x 00000; do
    expect 2 create "$segment" --mode "$mode"
done
expect 2 create "$segment" --versions 1
expect 2 create "$segment" --versions 65
expect 2 create "$segment" --versions x
expect 2 create "$segment" --lease 0
expect 2 create "$segment" --lease 1y
expect 2 create "$segment" --size 1M --size 2M
expect 2 create "$segment" --store ''
expect 2 create "$segment" --flush-interval 1s
expect 1 flush "$segment"
expect 1 load "$work/none" "$segment"
expect 2 load "$work/none" "$segment" --store "$work"
expect 1 verify "$segment"
expect 1 verify "$work/none"
expect 1 log "$segment"
expect 1 log "$work/none"
expect 2 create 'no/slash'
expect 2 create ''
expect 1 get "$segment" a
expect 1 rm "$segment"
expect 1 rm "$segment" a
expect 1 dump "$segment" "$work/dump"
expect 1 follow "$segment" a

expect 0 create "$segment" --size 16M --mode 0600 --control-mode=0600 --lease 5s --versions 3
expect 1 create "$segment"
expect 1 get "$segment" a
expect 1 rm "$segment" a
expect 2 get "$segment" '/a'
expect 2 get "$segment" '__a'
expect 2 get "$segment" a --commit x
expect 2 get "$segment" a --region 1:2:3:4
expect 2 get "$segment" a --region ::0
expect 2 get "$segment" a --region=::-1
expect 2 follow "$segment" a --count 0
expect 2 follow "$segment" a --format xml
expect 2 put "$segment" a --dtype f8
expect 2 put "$segment" a --shape 3
expect 2 put "$segment" a --dtype f8 --shape 0 --codec zip
expect 2 put "$segment" a --dtype f8 --shape 0 --chunks 0
expect 2 put "$segment" a --dtype f8 --shape 0 --chunks 1,1
expect 2 put "$segment" a --dtype f8 --shape 0 --dims x,y
expect 2 put "$segment" a --dtype x8 --shape 0
expect 2 put "$segment" a --dtype f8 --shape 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17
expect 2 record "$segment" --rate 0
expect 2 record "$segment" --rate -1
expect 2 record "$segment" --rate x
expect 2 record "$segment" --for 0
expect 2 record "$segment" --max-rows 0
expect 1 record "$segment" --proc /nonexistent
expect 0 put "$segment" a --dtype f8 --shape 0
expect 0 put "$segment" b/c --dtype f8 --shape 0,3 --chunks 4,4 --dims ,x --codec none
expect 2 get "$segment" a -o ''
expect 1 flush "$segment"
expect 0 verify "$segment"
expect 0 log "$segment"
printed '^COMMIT '
expect 0 log "$segment" --json
expect 1 load "$work" "$segment"
expect 0 dump "$segment" "$work/dump"
[ -s "$work/dump" ] || { echo 'FAILED: the dump is empty'; failed=1; }
expect 1 dump "$segment" "$work/dump"
expect 0 rm "$segment" a
expect 1 rm "$segment" a
expect 0 rm "$segment" -- b/c
expect 0 rm "$segment"
expect 1 rm "$segment"
expect 1 get "$segment" b/c
[ $failed = 0 ] && echo 'all as expected'
exit $failed
