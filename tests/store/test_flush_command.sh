#!/bin/bash
# SPDX-License-Identifier: MIT
# untorn flush when the store is damaged or gone: it succeeds only if what it prints is there, and
# what it can put right it does, without a live writer as well as with one.
set -u

work=$(mktemp -d) || exit 1
segment=test-flush-command-$$
store=$work/store
untorn=$BUILD/untorn
pid=
trap 'kill $pid 2>/dev/null; wait; "$untorn" rm "$segment" 2>"$work/rm"; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

must_flush() {
    local path
    path=$("$untorn" flush "$segment" 2>"$work/error") || fail "flush: $(cat "$work/error")"
    [ -d "$path" ] || fail "it printed $path, which is not there"
    [ "$(realpath "$store/latest")" = "$path" ] || fail "\"latest\" does not lead to $path"
}

must_fail() {
    "$untorn" flush "$segment" >"$work/path" 2>"$work/error" &&
        fail "flush: no failure, but $(cat "$work/path")"
    grep -q "$1" "$work/error" || fail "flush: $(cat "$work/error")"
}

# One row of two bytes, in a chunk of its own.
rows="--dtype u1 --row-shape 2 --chunks 1,2"
append() {
    # shellcheck disable=SC2086 # several words
    printf '%s' "$1" | "$untorn" append "$segment" a - $rows --store "$store" 2>"$work/error" ||
        fail "append: $(cat "$work/error")"
}

# Without a writer.
append aa
must_flush
rm "$store/latest"
must_flush

# A missing file of what is in memory.
append bbcc
rm "$(realpath "$store/latest/a")/1.0" || fail "no chunk file"
append dd
grep -q "1.0 is not there: written anew" "$work/error" || fail "it was not said"
must_flush
[ -f "$(realpath "$store/latest/a")/1.0" ] || fail "1.0 was not written anew"

# The store is gone: what is there again after the next opening of the writer is all.
mv "$store" "$work/away" || fail "mv"
must_flush
rm -r "$work/away"
"$untorn" verify "$store" >"$work/verify" || fail "verify: $(cat "$work/verify")"

# With a live writer.
# shellcheck disable=SC2086
coproc writer { "$untorn" append "$segment" a - $rows --print-commit 2>"$work/writer"; }
pid=$writer_PID
printf ee >&"${writer[1]}"
read -r -t 60 commit <&"${writer[0]}" || fail "no commit: $(cat "$work/writer")"
must_flush
rm "$store/latest"
must_flush
mv "$store" "$work/away" || fail "mv"
must_fail "moved, removed or replaced"
[ ! -e "$store" ] || fail "something was made in its place"
mv "$work/away" "$store" || fail "mv"
must_flush
eval "exec ${writer[1]}>&-"
wait "$pid" || fail "append: $(cat "$work/writer")"
pid=
echo "flush says what is so"
