# SPDX-License-Identifier: MIT
# What the scripts that run benchmarks have in common: the machine in the head of a table, the
# run itself, and tables as Markdown.  To be sourced.

machine() {
    awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo
}

compiler() {
    # As the object files themselves say it.
    readelf -p .comment "$1" 2>/dev/null |
        sed -n 's/^ *\[ *[0-9a-f]*\] *//p' | head -n 1
}

governor() {
    cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2>/dev/null || echo "not shown"
}

# head_lines PROGRAM: one that was compiled for these benchmarks
head_lines() {
    echo "Machine|$(machine), $(nproc) processors$(grep -qw hypervisor /proc/cpuinfo && echo ', virtual')"
    echo "Memory|$(awk '/^MemTotal/ { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo)"
    echo "Kernel|$(uname -sr)"
    echo "Compiler|$(compiler "$1")"
    echo "C library|$(ldd --version 2>/dev/null | sed -n 1p)"
    echo "Clock|$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
    echo "Frequency governor|$(governor)"
    echo "Huge pages in /dev/shm|$(cat /sys/kernel/mm/transparent_hugepage/shmem_enabled)"
    echo "Load before|$(cut -d' ' -f1-3 /proc/loadavg)"
    echo "Date|$(date -u +%Y-%m-%d)"
}

# run_all TEXT NAME...: run $out/bench_NAME or, for a name with a dot, $PYTHON bench/NAME; their
# tables go to standard output and to the end of TEXT.  Sets `failed`.
run_all() {
    text=$1
    shift
    failed=
    for name in "$@"; do
        case $name in
        *.py) set -- "$PYTHON" "$(dirname "$0")/$name" ;;
        *)    set -- "$out/bench_$name" ;;
        esac
        # tee hides the status, so it goes through a file.
        { "$@"; echo $? >"$text.status"; } | tee -a "$text"
        [ "$(cat "$text.status")" = 0 ] || failed="$failed $name"
        rm -f "$text.status"
    done
}

# markdown HEAD TSV: the machine and the tables
markdown() {
    echo '| | |'
    echo '|---|---|'
    sed 's/|/ | /; s/^/| /; s/$/ |/' "$1"
    awk -F'\t' '
        function cell(text) { gsub(/  +/, " ", text); gsub(/\|/, "\\|", text); return text }
        $1 == "S" { printf "\n## %s\n\n", $2; table = 0 }
        $1 == "N" { printf "%s%s.\n\n", table ? "\n" : "", $2; table = 0 }
        $1 == "R" {
            if (!table++) {
                print "| case | median | spread | ratio [95 %] | goal | result |"
                print "|---|---:|---:|---|---|---|"
            }
            printf "|"
            for (i = 2; i <= 7; i++)
                printf " %s |", cell($i)
            print ""
        }' "$2"
}
