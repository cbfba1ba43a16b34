#!/bin/bash
# SPDX-License-Identifier: MIT
# docs/protocol.md names every function that has an ordered atomic or a fence, and no others; the
# tests it names exist; the mistakes it numbers can be switched on.
set -euo pipefail
: "${TOP:?}"
doc=$TOP/docs/protocol.md
bad=0

# In the tables of "Every pair": `file:function`, and further `function`s of the file last named.
section=$(sed -n '/^### Every pair/,/^### What a kill leaves/p' "$doc")
while IFS=: read -r file function; do
    grep -q "\`${file##*/}:$function\`" <<<"$section" ||
        { grep -q "\`${file##*/}:" <<<"$section" && grep -q "\`$function\`" <<<"$section"; } ||
        { echo "docs/protocol.md does not name $file:$function"; bad=1; }
done < <(TOP=$TOP sh "$TOP/tests/docs/list_ordered.sh")

# The reverse: what is named exists, where it is named.
while IFS=: read -r file function; do
    # Calls are indented; a definition is not.
    grep -hqE "^[a-z].*\b$function\(" "$TOP"/src/*/"$file" ||
        { echo "docs/protocol.md names $file:$function, which does not exist"; bad=1; }
done < <(grep -oE '`[a-z_]+\.[ch]:[a-z_]+`' <<<"$section" | tr -d '`' | sort -u)

while read -r test; do
    grep -rq "cmocka_unit_test[a-z_]*($test\b" "$TOP/tests" ||
        { echo "docs/protocol.md names the test $test, which does not exist"; bad=1; }
done < <(sed -n '/^## Traps/,$p' "$doc" | grep '^| [0-9]' | sed 's/.*|\([^|]*\)|$/\1/' |
    grep -oE '`[A-Za-z0-9_]+`' | tr -d '`' | sort -u)

while read -r seed; do
    grep -rq "UT_SEEDED($seed)" "$TOP/src" ||
        { echo "docs/protocol.md names the seed $seed, which does not exist"; bad=1; }
done < <(sed -n '/^## Traps/,$p' "$doc" | grep -oE 'seeds? [0-9, ]+' | grep -oE '[0-9]+' | sort -u)

exit "$bad"
