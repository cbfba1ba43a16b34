#!/bin/bash
# SPDX-License-Identifier: MIT
# docs/performance.md is a page that can be read, and is whole: it is short, leads to every page of
# docs/performance/, which say how they are made, and shows every plot of docs/plots/.  That links
# lead somewhere is tested for all documents (test_readme.sh).
#
# Environment: TOP.
set -euo pipefail
: "${TOP:?}"
fail() { echo "$*"; exit 1; }
page=$TOP/docs/performance.md
LC_ALL=C

at_most() { # BYTES FILE
    local size
    size=$(wc -c <"$2")
    [ "$size" -le "$1" ] || fail "$2 has $size bytes, which is more than $1"
    [ "$size" -gt 300 ] || fail "$2 has only $size bytes"
}

at_most 45000 "$page"
found=0
for part in "$TOP"/docs/performance/*.md; do
    at_most 60000 "$part"
    grep -qF "](performance/${part##*/})" "$page" || fail "$page does not lead to $part"
    grep -q 'make performance-doc' "$part" || fail "$part does not say how to make it"
    found=$((found + 1))
done
[ "$found" -gt 10 ] || fail "only $found pages"

found=0
for plot in "$TOP"/docs/plots/*.svg; do
    grep -qF "](plots/${plot##*/})" "$page" || fail "$page does not show $plot"
    found=$((found + 1))
done
[ "$found" -gt 5 ] || fail "only $found plots"

# What is not met is told before what is.
line_of() { sed -n "/^### $1\$/=" "$page"; }
met=$(line_of Met)
[ -n "$met" ] || fail "$page names no goals that are met"
for other in 'Not met' 'Too few pairs to say' 'Not measured'; do
    line=$(line_of "$other")
    [ -z "$line" ] || [ "$line" -lt "$met" ] || fail "$page: \"$other\" comes after what is met"
done
