#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs untorn beside other ways of sharing an array (bench/peers), and writes, beside the tables on
# standard output:
#   $BUILD/bench/peers.txt     the same tables, with the machine in the head
#   $BUILD/bench/peers.md      the same as Markdown
#   $BUILD/bench/peers.jsonl   every measurement
# A peer whose library is not installed is left out, and the tables say so; nothing is installed
# but Python packages, in environments below $BUILD.  Debian's names: liblmdb-dev libhdf5-dev
# libhiredis-dev redis-server libiceoryx-binding-c-dev iceoryx.
#
# Environment: BUILD (the build directory, default build), CC, PYTHON, BENCH_EFFORT, BENCH_ONLY
# (names of peers, default all).
set -u

BUILD=${BUILD:-build}
CC=${CC:-cc}
top=$(cd "$(dirname "$0")/.." && pwd)
out=$BUILD/bench
all=${BENCH_ONLY:-untorn memcpy seqlock seqlock2 rwlock lmdb iceoryx hdf5-swmr redis \
zarr-2 zarr-2-lock zarr-3 zarr-3-lock tensorstore icechunk}
mkdir -p "$out/peers"

. "$top/bench/support/tables.sh"
. "$top/bench/support/venv.sh"

# compile NAME SOURCE [FLAG...]: quietly; the log says why not
compile() {
    name=$1 source=$2
    shift 2
    $CC -std=c11 -D_GNU_SOURCE -O2 -g -pthread -I"$top/include" -I"$top/bench" \
        -o "$out/peers/peer_$name" "$top/bench/peers/$source" "$top/bench/peers/peer_main.c" \
        "$top/bench/peers/server.c" "$out/libsupport.a" "$BUILD/libuntorn.a" \
        -Wl,--as-needed "$@" -llz4 -lxxhash -lm >"$out/peers/peer_$name.log" 2>&1
}

flags_of() {
    pkg-config --cflags --libs "$1" 2>/dev/null
}

# program NAME SOURCE PACKAGE [FLAG...]: a peer in C; PACKAGE is what it needs from Debian
program() {
    case " $all " in *" $1 "*) ;; *) return ;; esac
    name=$1 source=$2 package=$3
    shift 3
    if compile "$name" "$source" "$@"; then
        set -- "$name=$out/peers/peer_$name"
    else
        set -- "$name!cannot be compiled here: $package is missing ($out/peers/peer_$name.log)"
    fi
    peers="$peers
$1"
}

# script NAME SOURCE PYTHON [FLAG]: a peer in Python; PYTHON is empty if its packages are missing
script() {
    case " $all " in *" $1 "*) ;; *) return ;; esac
    if [ -n "$3" ]; then
        peers="$peers
$1=$3 $top/bench/peers/$2 ${4:-}"
    else
        peers="$peers
$1!its Python packages could not be installed ($BUILD/venv-bench*.log)"
    fi
}

peers=
for name in untorn memcpy seqlock seqlock2 rwlock; do
    program "$name" "peer_$name.c" 'a C compiler'
done
program lmdb peer_lmdb.c liblmdb-dev -llmdb
# shellcheck disable=SC2046
program iceoryx peer_iceoryx.c 'libiceoryx-binding-c-dev, iceoryx' \
    $(for d in /usr/include/iceoryx/v*; do echo "-I$d"; done) -liceoryx_binding_c
# shellcheck disable=SC2046
program hdf5-swmr peer_hdf5.c libhdf5-dev $(flags_of hdf5) -lhdf5
program redis peer_redis.c 'libhiredis-dev, redis-server' -lhiredis

zarr2= zarr3=
case " $all " in
*' zarr-2'*)
    make_venv "$BUILD/venv-bench2" 'zarr>=2.18,<3' 'numcodecs<0.16' 'numpy<2' fasteners &&
        zarr2=$BUILD/venv-bench2/bin/python
    ;;
esac
case " $all " in
*' zarr-3'* | *' tensorstore '* | *' icechunk '*)
    make_venv "$BUILD/venv-bench" 'zarr>=3' tensorstore icechunk fasteners &&
        zarr3=$BUILD/venv-bench/bin/python
    ;;
esac
script zarr-2 peer_zarr.py "$zarr2"
script zarr-2-lock peer_zarr.py "$zarr2" --lock
script zarr-3 peer_zarr.py "$zarr3"
script zarr-3-lock peer_zarr.py "$zarr3" --lock
script tensorstore peer_tensorstore.py "$zarr3"
script icechunk peer_icechunk.py "$zarr3"

head_lines "$out/peers/peer_untorn" >"$out/peers.head"
{
    cat <<'MARKDOWN'
# Untorn beside others

Written by `bench/run_peers.sh`; every figure is a measurement of that run. One process rewrites the whole array again and again
without pause, on processor 1; another copies the whole array to private memory again and again, on processor 0, and checks every
word of what it got. Arrays that have chunks have them of 256 KiB, or one. Everything is on tmpfs; nothing is compressed.

- reads/s: by the time inside read calls; the median of the repetitions, with the lowest and the highest beside it.
- attempts per read: copies begun, over all reads. p50, p99: of one read call, with the clock (about 25 ns) in it.
- torn: reads whose data is of more than one write. new: reads that returned another write than the read before; where it is
  low, the reader copied again what it had, from its own cache, and reads/s say little.
- commits/s: what the writer reached meanwhile.

MARKDOWN
    markdown "$out/peers.head" /dev/null
} >"$out/peers.md"
tr '|' '\t' <"$out/peers.head" | expand -t 26 | tee "$out/peers.txt"

old_ifs=$IFS
IFS='
'
set -f
# shellcheck disable=SC2086
{ "${PYTHON:-python3}" "$top/bench/peers/run.py" --markdown "$out/peers.md" \
    --raw "$out/peers.jsonl" $peers; echo $? >"$out/peers.status"; } | tee -a "$out/peers.txt"
set +f
IFS=$old_ifs
status=$(cat "$out/peers.status")
rm -f "$out/peers.status"
echo
echo "Tables: $out/peers.txt, $out/peers.md"
exit "$status"
