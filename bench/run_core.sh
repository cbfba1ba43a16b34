#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs all benchmarks and writes, beside their tables on standard output:
#   $BUILD/bench/core.txt         the same tables, with the machine in the head
#   $BUILD/bench/performance.md   the same as Markdown, from which docs/performance.md is taken
# Never fails because of a time: each row says its goal and whether it was met.
#
# Environment: BUILD (the build directory, default build), BENCH_EFFORT (times the usual number of
# repetitions), BENCH_ONLY (names of benchmarks, default all).
set -u

BUILD=${BUILD:-build}
out=$BUILD/bench
all=${BENCH_ONLY:-read commit append grow wake scale memory}
text=$out/core.txt
export BENCH_TSV="$out/core.tsv"
mkdir -p "$out"
: >"$BENCH_TSV"

. "$(dirname "$0")/support/tables.sh"

head_lines "$out/bench_read" >"$out/core.head"
tr '|' '\t' <"$out/core.head" | expand -t 26 | tee "$text"
run_all "$text" $all

{
    cat <<'MARKDOWN'
# Performance

Written by `bench/run_core.sh` (`make bench`); every figure is a measurement of that run. Medians, with the quartiles as the
spread; ratios are medians of interleaved pairs with a 95 % interval. The reader is pinned to processor 0, the writer to processor
1, each in a process of its own where both take part. What was read is checked word by word outside the time.

MARKDOWN
    markdown "$out/core.head" "$BENCH_TSV"
} >"$out/performance.md"
echo
echo "Tables: $text, $out/performance.md"
if [ -n "$failed" ]; then
    echo "Did not run to the end:$failed" >&2
    exit 1
fi
