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

machine() {
    awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo
}

compiler() {
    # As the object files themselves say it.
    readelf -p .comment "$out/bench_read" 2>/dev/null |
        sed -n 's/^ *\[ *[0-9a-f]*\] *//p' | head -n 1
}

governor() {
    cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2>/dev/null || echo "not shown"
}

head_lines() {
    echo "Machine|$(machine), $(nproc) processors$(grep -qw hypervisor /proc/cpuinfo && echo ', virtual')"
    echo "Memory|$(awk '/^MemTotal/ { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo)"
    echo "Kernel|$(uname -sr)"
    echo "Compiler|$(compiler)"
    echo "C library|$(ldd --version 2>/dev/null | sed -n 1p)"
    echo "Clock|$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
    echo "Frequency governor|$(governor)"
    echo "Huge pages in /dev/shm|$(cat /sys/kernel/mm/transparent_hugepage/shmem_enabled)"
    echo "Load before|$(cut -d' ' -f1-3 /proc/loadavg)"
    echo "Date|$(date -u +%Y-%m-%d)"
}

head_lines >"$out/core.head"
tr '|' '\t' <"$out/core.head" | expand -t 26 | tee "$text"
failed=
for name in $all; do
    # tee hides the status, so it goes through a file.
    { "$out/bench_$name"; echo $? >"$out/core.status"; } | tee -a "$text"
    [ "$(cat "$out/core.status")" = 0 ] || failed="$failed $name"
done
rm -f "$out/core.status"

{
    cat <<'MARKDOWN'
# Performance

Written by `bench/run_core.sh` (`make bench`); every figure is a measurement of that run. Medians, with the quartiles as the
spread; ratios are medians of interleaved pairs with a 95 % interval. The reader is pinned to processor 0, the writer to processor
1, each in a process of its own where both take part. What was read is checked word by word outside the time.

MARKDOWN
    echo '| | |'
    echo '|---|---|'
    sed 's/|/ | /; s/^/| /; s/$/ |/' "$out/core.head"
    awk -F'\t' '
        function cell(text) { gsub(/  +/, " ", text); gsub(/\|/, "\\|", text); return text }
        $1 == "S" { printf "\n## %s\n\n", $2; table = 0 }
        $1 == "N" { printf "%s.\n\n", $2 }
        $1 == "R" {
            if (!table++) {
                print "| case | median | spread | ratio [95 %] | goal | result |"
                print "|---|---:|---:|---|---|---|"
            }
            printf "|"
            for (i = 2; i <= 7; i++)
                printf " %s |", cell($i)
            print ""
        }' "$BENCH_TSV"
} >"$out/performance.md"
echo
echo "Tables: $text, $out/performance.md"
if [ -n "$failed" ]; then
    echo "Did not run to the end:$failed" >&2
    exit 1
fi
