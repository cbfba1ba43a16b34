#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the benchmarks of the store and the cache and writes, beside their tables on standard output:
#   $BUILD/bench/store.txt        the same tables, with the machine in the head
#   $BUILD/bench/store.md         the same as Markdown
#   $BUILD/bench/zipfian.svg      plots: zipfian reads by what is kept in memory,
#   $BUILD/bench/warm_start.svg   and a restart by the size of the store
# Never fails because of a time: each row says its goal and whether it was met.
#
# Environment: BUILD (the build directory, default build), PYTHON, BENCH_EFFORT (times the usual
# sizes, up to 1, and repetitions), BENCH_DISK (a directory on the disk to measure, default
# /var/tmp), BENCH_SCALE_SECONDS (bench_flush_scale), BENCH_ONLY (names of benchmarks, default all).
set -u

BUILD=${BUILD:-build}
out=$BUILD/bench
flushing='flush flush_scale flush_beside restart store_peers.py'
caching='cache cache_mix cache_evict cache_start cache_peers.py shmstat'
all=${BENCH_ONLY:-$flushing $caching}
text=$out/store.txt
export BENCH_TSV="$out/store.tsv" BENCH_PLOTS="$out"
mkdir -p "$out"
rm -f "$out"/*.plot
: >"$BENCH_TSV"

. "$(dirname "$0")/support/tables.sh"
. "$(dirname "$0")/support/venv.sh"

skipped=
case $all in
*_peers.py*)
    if make_venv "$BUILD/venv-bench" 'zarr>=3' tensorstore icechunk fasteners; then
        PYTHON=$BUILD/venv-bench/bin/python
    else
        skipped="peers (no Python environment with zarr and tensorstore: $BUILD/venv-bench.log)"
        all=$(echo "$all" | sed 's/[a-z]*_peers\.py//g')
    fi
    ;;
esac

export UNTORN_LIBRARY="${UNTORN_LIBRARY:-$BUILD/libuntorn.so}"
head_lines "$out/bench_flush" >"$out/store.head"
tr '|' '\t' <"$out/store.head" | expand -t 26 | tee "$text"
run_all "$text" $all

plots=
for file in "$out"/*.plot; do
    [ -e "$file" ] && "${PYTHON:-python3}" "$(dirname "$0")/support/plot.py" "$file" &&
        plots="$plots ${file%.plot}.svg"
done

{
    cat <<'MARKDOWN'
# The store's performance

Written by `bench/run_store.sh`; every figure is a measurement of that run. Medians, with the quartiles as the spread; ratios are
medians of interleaved pairs with a 95 % interval.

MARKDOWN
    markdown "$out/store.head" "$BENCH_TSV"
    for file in $plots; do
        printf '\n![%s](%s)\n' "$(sed -n 's/^title\t//p' "${file%.svg}.plot")" "${file##*/}"
    done
    [ -z "$skipped" ] || printf '\nSkipped: %s\n' "$skipped"
} >"$out/store.md"
echo
[ -z "$skipped" ] || echo "SKIPPED: $skipped"
echo "Tables: $text, $out/store.md${plots:+; plots:$plots}"
if [ -n "$failed" ]; then
    echo "Did not run to the end:$failed" >&2
    exit 1
fi
