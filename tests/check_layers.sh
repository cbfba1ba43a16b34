#!/bin/bash
# SPDX-License-Identifier: MIT
# Checks that dependencies between the layers point one way only, and that the shared library
# exports the public API and nothing else.
#
#   src/base <- src/segment <- src/array <- src/store
#   src/tools: the public header and its own
#
# Needs TOP (the source tree) and, for the exports, BUILD (where the library was built).
set -u
: "${TOP:?}"
cd "$TOP" || exit 1
bad=0

complain() {
    echo "$*"
    bad=1
}

# allowed DIRECTORY LAYER...: every #include "..." there is of one of the layers.
allowed() {
    local layer=$1 file included ok a
    shift
    while IFS=: read -r file included; do
        ok=0
        [ "$included" = untorn.h ] && ok=1
        for a in "$@"; do
            case $included in "$a"/*) ok=1 ;; esac
        done
        [ $ok = 1 ] || complain "$file includes \"$included\": src/$layer may use untorn.h $*"
    done < <(grep -rHoE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[^"]*"' \
        "src/$layer" 2>/dev/null | sed -E 's/:.*"([^"]*)"$/:\1/')
}

allowed base base
allowed segment segment base
allowed array array segment base
allowed store store array segment base
allowed tools tools

# The public header must stand alone.
if grep -nE '#[[:space:]]*include[[:space:]]*"' include/untorn.h; then
    complain "include/untorn.h includes a private header"
fi

if grep -rnE --include='*.[ch]' '#[[:space:]]*include[[:space:]]*["<][^">]*\.c[">]' \
    include src tests bench 2>/dev/null; then
    complain "a .c file is included"
fi

# Files end up in the library by lying in a layer's directory; elsewhere nobody would see them.
for file in src/*.[ch]; do
    [ ! -e "$file" ] || complain "$file lies in no layer"
done

library=${BUILD:-build}/libuntorn.so
if [ -e "$library" ] && [ -z "${SAN:-}" ]; then
    exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }')
    for symbol in $exported; do
        grep -qE "UNTORN_API.*[ *]$symbol\(" include/untorn.h ||
            complain "$library exports $symbol, which include/untorn.h does not declare"
    done
fi

[ $bad = 0 ] && echo "layers and exports are as they should be"
exit $bad
