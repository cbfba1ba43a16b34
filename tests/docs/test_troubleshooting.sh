#!/bin/bash
# SPDX-License-Identifier: MIT
# docs/troubleshooting.md has every status under its number's name and short text, and the messages
# it quotes are those in the sources: each is looked up among the string literals of src/, with "…"
# for what a conversion puts in.
# Environment: TOP.
# shellcheck disable=SC2016  # backticks are meant as such
set -euo pipefail
: "${TOP:?}"
export LC_ALL=C.UTF-8
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "$*"; exit 1; }
page=$TOP/docs/troubleshooting.md

echo "== statuses"
grep -oE '^ *X\(UNTORN_E_[A-Z_]+, [0-9]+, "[^"]*"' "$TOP/include/untorn.h" |
    sed -E 's/^ *X\((UNTORN_E_[A-Z_]+), [0-9]+, "([^"]*)"/### `\1`: \2/' >"$scratch/statuses"
[ "$(wc -l <"$scratch/statuses")" -ge 30 ] || fail "few statuses were found in the header"
diff -u "$scratch/statuses" <(grep '^### ' "$page") ||
    fail "the page's statuses (+) differ from the header's (-), which are in this order"
awk '/^### / { if (name != "" && !rows) { print name; bad = 1 } name = $0; rows = 0 }
     /^## / { if (name != "" && !rows) { print name; bad = 1 } name = "" }
     /^\| `/ { rows++ }
     END { exit bad }' "$page" || fail "the statuses above have no message"

echo "== messages"
# One literal a line: adjacent ones joined, PRI macros with them; comments and characters passed over.
find "$TOP/src" -name '*.[ch]' -exec cat {} + | awk '
    function other(text) { # between literals
        gsub(/[ \t]|PRI[a-z0-9]+/, "", text)
        if (text == "") return
        if (literal != "") print literal
        literal = ""
    }
    {
        line = $0
        while (line != "") {
            if (comment) {
                if (!match(line, /\*\//)) next
                line = substr(line, RSTART + 2)
                comment = 0
                continue
            }
            if (!match(line, /"([^"\\]|\\.)*"|'\''([^'\''\\]|\\.)*'\''|\/\*|\/\//)) { other(line); next }
            other(substr(line, 1, RSTART - 1))
            piece = substr(line, RSTART, RLENGTH)
            line = substr(line, RSTART + RLENGTH)
            if (piece == "//") next
            if (piece == "/*") comment = 1
            else if (piece ~ /^"/) {
                piece = substr(piece, 2, length(piece) - 2)
                gsub(/\\"/, "\"", piece)
                literal = literal piece
            }
        }
    }' | sort -u >"$scratch/literals"
[ "$(wc -l <"$scratch/literals")" -gt 500 ] || fail "few literals were found in the sources"
# The quoted parts of the first column of rows below a status.
awk -F' [|] ' '/^### / { inside = 1 } /^## / { inside = 0 } inside && /^\| `/ { print $1 }' "$page" |
    grep -oE '`[^`]*`' | tr -d '`' | sort -u >"$scratch/messages"
count=0
missing=
while IFS= read -r message; do
    pattern=$(sed -E 's/[][\.*^$()+?{}|\\]/\\&/g; s/…/.*/g' <<<"$message")
    grep -qE -e "$pattern" "$scratch/literals" || [ "$message" = "No space left on device" ] ||
        { echo "no message in the sources is like \"$message\""; missing=1; }
    count=$((count + 1))
done <"$scratch/messages"
[ "$count" -ge 80 ] || fail "only $count messages"
[ -z "$missing" ] || exit 1
echo "$count messages"
