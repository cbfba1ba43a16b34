#!/bin/bash
# SPDX-License-Identifier: MIT
# The manual pages say what the programs and the header say:
#   1. untorn(1) has the commands, operands, options and values of --help, and no others;
#   2. shmstat(1) likewise;
#   3. untorn(3) has every call that the library exports, every status, and every word of the
#      header's comments and declarations;
#   4. the pages that are made from docs/ have every section of those;
#   5. every awk that is there makes the same of them;
#   6. man and mandoc, as far as they are there, have nothing to complain about.
# Environment: TOP, BUILD, MAKE.
set -euo pipefail
: "${TOP:?}" "${BUILD:?}"
export LC_ALL=C.UTF-8
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "$*"; exit 1; }
"${MAKE:-make}" -C "$TOP" --no-print-directory BUILD="$scratch" SAN= man >/dev/null
pages=$scratch/man

# The source without its escapes: \- is a dash, quotes only hold a macro's words together.
plain() { sed 's/\\f[BIRP]//g; s/\\//g; s/"//g; s/   */ /g' "$1"; }
options() { grep -oE -e '--[a-z][a-z-]*[a-z]' || true; }
same() { # what expected got
    diff -u --label help --label page "$2" "$3" || fail "$1: the page (+) differs from --help (-)"
}

echo "== untorn(1)"
plain "$pages/untorn.1" >"$scratch/page"
"$BUILD/untorn" --help | sed -n 's/^  \([a-z]\{2,8\}\)  .*/\1/p' >"$scratch/commands"
[ "$(wc -l <"$scratch/commands")" -ge 12 ] || fail "untorn --help has few commands"
awk '/^\.SH / { inside = $2 == "COMMANDS" } inside && /^\.SS / { print $2 }' "$scratch/page" \
    >"$scratch/described"
same "commands" "$scratch/commands" "$scratch/described"
awk '/^\.SH / { inside = $2 == "SEGMENT" } inside' "$scratch/page" | options >"$scratch/shared"

while read -r command; do
    "$BUILD/untorn" "$command" --help >"$scratch/help"
    # Operands, without the options that the usage line names.
    sed -n '1s/^usage: untorn //p' "$scratch/help" |
        sed 's/ \[options\]//; s/ \[-[^]]*\]//' >"$scratch/expected"
    awk -v command="$command" '/^\.SS / && $2 == command { sub(/^\.SS /, ""); print }' \
        "$scratch/page" >"$scratch/got"
    same "untorn $command: operands" "$scratch/expected" "$scratch/got"

    awk -v command="$command" '
        /^\.S[SH] / { inside = $1 == ".SS" && $2 == command }
        inside' "$scratch/page" >"$scratch/section"
    sed -n 's/^  \(-[a-z], \)\{0,1\}\(--[a-z-]*\).*/\2/p' "$scratch/help" | sort >"$scratch/expected"
    # What follows "but for" is what the command does not have.
    awk '/but for$/ { getline; next } { print }' "$scratch/section" | options >"$scratch/own"
    if grep -q 'SEGMENT OPTIONS apply' "$scratch/section"; then
        awk '/but for$/ { getline; print }' "$scratch/section" | options >"$scratch/not"
        grep -vxF -f "$scratch/not" "$scratch/shared" >>"$scratch/own" || true
    fi
    sort -u "$scratch/own" >"$scratch/got"
    same "untorn $command: options" "$scratch/expected" "$scratch/got"

    # "--size SIZE", as in the table of options.
    sed -n 's/^  \(-[a-z], \)\{0,1\}\(--[a-z-]* [A-Z0-9|]*\)  .*/\2/p' "$scratch/help" |
        while read -r pair; do
            grep -qF -e "$pair" "$scratch/page" || fail "untorn $command: no \"$pair\" in the page"
        done
done <"$scratch/commands"

echo "== shmstat(1)"
plain "$pages/shmstat.1" >"$scratch/page"
"$BUILD/shmstat" --help >"$scratch/help"
options <"$scratch/help" | sort -u >"$scratch/expected"
awk '/^\.SH / { inside = $2 == "OPTIONS" } inside' "$scratch/page" | options | sort -u >"$scratch/got"
same "shmstat: options" "$scratch/expected" "$scratch/got"
grep -o '^usage: .*' "$scratch/help" | grep -oE '[A-Z]{3,}' | sort -u >"$scratch/expected"
awk '/^\.SH / { inside = $2 == "SYNOPSIS" } inside && !/^\.SH/' "$scratch/page" |
    grep -oE '[A-Z]{3,}' | grep -v '^OPTION$' | sort -u >"$scratch/got"
same "shmstat: operands" "$scratch/expected" "$scratch/got"

echo "== untorn(3)"
header=$TOP/include/untorn.h
awk -v list=1 -f "$TOP/docs/man/header_to_man.awk" "$header" | sort >"$scratch/listed"
grep -oE '\buntorn_[a-z_]+\(' "$header" | tr -d '(' | sort -u >"$scratch/named"
if [ -z "${SAN:-}" ]; then
    nm -D --defined-only "$BUILD/libuntorn.so" | awk '{ print $3 }' | sed 's/@.*//' |
        grep '^untorn_' | sort >"$scratch/exported"
    diff -u "$scratch/exported" "$scratch/listed" ||
        fail "the calls that are listed (+) differ from those that are exported (-)"
fi
while read -r call; do
    grep -q "^$call\$\|^$call,\$\|^$call " <(awk '/^\.SH NAME/,/^\.SH SYN/' "$pages/untorn.3") ||
        fail "untorn(3): NAME lacks $call"
    grep -qE "^\\\\fB.*[ *]$call\(" "$pages/untorn.3" || fail "untorn(3): no prototype of $call"
done <"$scratch/listed"
# Every word of the header as often as there, or more often.
words() { tr '[:upper:]' '[:lower:]' | tr -cs 'a-z0-9_' '\n' | grep . | sort | uniq -c; }
sed -e 1d -e '/^#\(ifndef\|ifdef\|if\|else\|endif\|include\|undef\)/d' -e '/^#define UNTORN_\(H\|API\)/d' \
    -e '/^#define UNTORN_STATUS_/d' -e 's/^    X(UNTORN/UNTORN/' -e '/^extern "C"/d' \
    -e '/UNTORN_STATUS_LIST(UNTORN_STATUS_ENUM)/d' -e '/} untorn_status;/d' \
    -e '/^    \/\* .* \*\/ *\\$/d' -e '/^typedef enum untorn_status/d' \
    -e 's/^UNTORN_API //' -e 's/^ \* INTRODUCTION$//' "$header" | words >"$scratch/expected"
sed -e 's/\\f[BIR]//g' -e 's/\\//g' -e '/^\.\(PP\|nf\|fi\|RS\|RE\|TP\|br\)/d' -e 's/^\.SH //' \
    "$pages/untorn.3" | words >"$scratch/got"
awk 'NR == FNR { got[$2] = $1; next }
     got[$2] < $1 { print $2 ": " $1 " times in the header, " got[$2] + 0 " times in the page"; bad = 1 }
     END { exit bad }' "$scratch/got" "$scratch/expected" || fail "untorn(3) lacks words of the header"
sed 's/\\f[BIR]//g' "$pages/untorn.3" >"$scratch/page"
grep -oE '^ *X\(UNTORN_[A-Z_]+, [0-9]+' "$header" | sed 's/^ *X(//; s/, / (/; s/$/)/' |
    while read -r status; do
        grep -qxF "$status" "$scratch/page" || fail "untorn(3): no status $status"
    done
echo "$(wc -l <"$scratch/listed") calls"

echo "== pages of docs/"
for pair in segment-layout:untorn-segment store:untorn-store manifest:untorn-manifest; do
    plain "$pages/${pair#*:}.5" >"$scratch/page"
    # shellcheck disable=SC2016
    sed '/^```/,/^```/d' "$TOP/docs/${pair%%:*}.md" | sed -n 's/^## //p' | grep -v '^Contents$' |
        tr '[:lower:]' '[:upper:]' | while read -r heading; do
            grep -qF ".SH $heading" "$scratch/page" || fail "${pair#*:}(5): no section $heading"
        done
    # As many rows of tables as in the document, titles and rules aside; and no markdown is left.
    rows=$(grep -c '^|' "$TOP/docs/${pair%%:*}.md" || true)
    [ "$rows" = 0 ] || grep -q '^\.TS' "$scratch/page" || fail "${pair#*:}(5): no tables"
    ! grep -nE '^#+ |^```|\]\(|\*\*' "$scratch/page" || fail "${pair#*:}(5): markdown was left"
done

echo "== awks"
for awk in mawk gawk original-awk 'busybox awk'; do
    command -v "${awk%% *}" >/dev/null || continue
    # shellcheck disable=SC2086
    LC_ALL=C $awk -v version=1 -v date=2000-01-01 -f "$TOP/docs/man/header_to_man.awk" "$header" \
        >"$scratch/by" || fail "$awk fails"
    for document in segment-layout store manifest shmstat; do
        # shellcheck disable=SC2086
        LC_ALL=C $awk -v name=x -v section=5 -v version=1 -v date=2000-01-01 \
            -f "$TOP/docs/man/markdown_to_man.awk" "$TOP/docs/$document.md" >>"$scratch/by" ||
            fail "$awk fails"
    done
    [ -e "$scratch/first" ] || cp "$scratch/by" "$scratch/first"
    cmp "$scratch/first" "$scratch/by" || fail "$awk makes something else"
    echo "$awk"
done

echo "== syntax"
checked=
for page in "$pages"/*; do
    if command -v mandoc >/dev/null; then
        mandoc -T lint -W warning "$page" || fail "mandoc: $page"
        checked="$checked mandoc"
    fi
    if command -v man >/dev/null && man --version 2>/dev/null | grep -q '^man [0-9]'; then
        MANWIDTH=80 man --warnings=w -l "$page" 2>"$scratch/warnings" >"$scratch/text"
        # Where the pages of a printed manual end is no mistake.
        sed -i '/ will not fit on one page$/d' "$scratch/warnings"
        [ ! -s "$scratch/warnings" ] || fail "man: $page: $(cat "$scratch/warnings")"
        [ "$(wc -l <"$scratch/text")" -gt 50 ] || fail "man: $page: hardly anything comes out"
        checked="$checked man"
    fi
done
[ -n "$checked" ] || { echo "skipped: neither man nor mandoc, to check the pages' syntax"; exit 77; }
tr ' ' '\n' <<<"$checked" | grep . | sort | uniq -c
