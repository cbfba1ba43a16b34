#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles the peers (bench/peers: other ways of sharing an array) and runs them beside untorn:
#
#   run_peers.sh --quick|--full --raw FILE --sections FILE ...     arguments of bench/peers/run.py
#
# A peer whose library is not installed is left out, and the report says so; nothing is installed
# but Python packages, in environments below $BUILD.  `make deps-bench` installs Debian's.
#
# Environment: BUILD (the build directory, default build), CC, PYTHON, BENCH_EFFORT, BENCH_PEERS
# (names of peers, default all), BENCH_PEERS_ONLY (workloads, sizes, cases; default all) and
# BENCH_PEERS_BESIDE (what an earlier run wrote as --raw, for the cases that are left out).
set -u

BUILD=${BUILD:-build}
CC=${CC:-cc}
top=$(cd "$(dirname "$0")/.." && pwd)
out=$BUILD/bench
all=${BENCH_PEERS:-untorn untorn-spin untorn-pin memcpy memcpy-round seqlock seqlock2 rwlock \
futex lmdb iceoryx hdf5-swmr redis zarr-2 zarr-2-lock zarr-3 zarr-3-lock tensorstore icechunk}
mkdir -p "$out/peers"

. "$top/bench/support/venv.sh"

# What the peers in C have in common (all but peer_NAME.c), compiled once.
compile_common() {
    rm -f "$out/peers/libpeer.a" "$out"/peers/*.o
    for source in "$top"/bench/peers/*.c; do
        name=$(basename "$source" .c)
        case $name in
        peer_main) ;;
        peer_*) continue ;;
        esac
        $CC -std=c11 -D_GNU_SOURCE -O2 -g -pthread -I"$top/include" -I"$top/bench" -c \
            -o "$out/peers/$name.o" "$source" || return 1
    done >"$out/peers/libpeer.log" 2>&1
    ar rcs "$out/peers/libpeer.a" "$out"/peers/*.o
}

# compile NAME SOURCE [FLAG...]: quietly; the log says why not
compile() {
    name=$1 source=$2
    shift 2
    $CC -std=c11 -D_GNU_SOURCE -O2 -g -pthread -I"$top/include" -I"$top/bench" \
        -o "$out/peers/peer_$name" "$top/bench/peers/$source" "$out/peers/libpeer.a" \
        "$out/libsupport.a" "$BUILD/libuntorn.a" \
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

# another NAME PROGRAM FLAG: a peer that is a program compiled above, with a flag
another() {
    case " $all " in *" $1 "*) ;; *) return ;; esac
    case " $all " in *" $2 "*) ;; *) compile "$2" "peer_$2.c" ;; esac
    peers="$peers
$1=$out/peers/peer_$2 $3"
}

peers=
compile_common || {
    cat "$out/peers/libpeer.log" >&2
    exit 1
}
for name in untorn memcpy seqlock seqlock2 rwlock futex; do
    program "$name" "peer_$name.c" 'a C compiler'
done
another untorn-spin untorn --spin
another untorn-pin untorn --pin
another memcpy-round memcpy --round
program lmdb peer_lmdb.c liblmdb-dev -llmdb
# shellcheck disable=SC2046
program iceoryx peer_iceoryx.c 'libiceoryx-binding-c-dev, iceoryx' \
    $(for d in /usr/include/iceoryx/v*; do echo "-I$d -DICEORYX=${d##*/v}"; done) \
    -liceoryx_binding_c
# shellcheck disable=SC2046
program hdf5-swmr peer_hdf5.c libhdf5-dev $(flags_of hdf5) -lhdf5
program redis peer_redis.c 'libhiredis-dev, redis-server' -lhiredis

zarr2= zarr3=
case " $all " in
*' zarr-2'*)
    zarr2_venv &&
        zarr2=$BUILD/venv-bench2/bin/python
    ;;
esac
case " $all " in
*' zarr-3'* | *' tensorstore '* | *' icechunk '*)
    zarr3_venv &&
        zarr3=$BUILD/venv-bench/bin/python
    ;;
esac
script zarr-2 peer_zarr.py "$zarr2"
script zarr-2-lock peer_zarr.py "$zarr2" --lock
script zarr-3 peer_zarr.py "$zarr3"
script zarr-3-lock peer_zarr.py "$zarr3" --lock
script tensorstore peer_tensorstore.py "$zarr3"
script icechunk peer_icechunk.py "$zarr3"

# The others may lack a package; without this one there is nothing to compare with.
case $peers in
*untorn!*)
    echo "untorn's own program cannot be compiled: $out/peers/peer_untorn.log" >&2
    exit 1
    ;;
esac

old_ifs=$IFS
IFS='
'
set -f
# shellcheck disable=SC2086
set -- "$@" $peers
IFS=$old_ifs
[ -z "${BENCH_PEERS_ONLY:-}" ] || set -- --only "$BENCH_PEERS_ONLY" "$@"
[ -z "${BENCH_PEERS_BESIDE:-}" ] || set -- --beside "$BENCH_PEERS_BESIDE" "$@"
exec "${PYTHON:-python3}" "$top/bench/peers/run.py" "$@"
