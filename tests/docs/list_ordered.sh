#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints "file:function" for every function of the library that uses an ordered atomic or a fence,
# that is anything of base/atomic_order.h but relaxed accesses.  docs/protocol.md has to name each.
set -u
cd "$TOP/src" || exit 1
for file in base/*.[ch] segment/*.[ch] array/*.[ch] store/*.[ch]; do
    [ "$file" = base/atomic_order.h ] && continue
    awk -v file="$file" '
        # A definition begins in the first column and has its name before the first parenthesis.
        /^[a-z].*\(/ && !/;$/ {
            head = $0
            sub(/\(.*/, "", head)
            sub(/.*[ *]/, "", head)
            name = head
        }
        /ut_(load_acquire|store_release|fetch_add_release|compare_exchange_acq_rel)\(|ut_fence_(acquire|release|seq_cst)\(|ut_store_fence\(|atomic_[a-z_]+_explicit/ \
            { print file ":" name }' "$file"
done | sort -u
