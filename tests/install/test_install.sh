#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs into a scratch prefix and uses what is there as a stranger would: a program compiled
# with pkg-config's flags, as C and as C++, against the shared and the static library.  Then
# uninstalls and looks for leftovers.
set -euo pipefail
: "${TOP:?}" "${BUILD:?}"
if [ -n "${SAN:-}" ]; then
    echo "skipped: a library with sanitizers is not one to install"
    exit 77
fi
command -v pkg-config >/dev/null || { echo "skipped: no pkg-config"; exit 77; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export PKG_CONFIG_PATH=$scratch/lib/pkgconfig
make=${MAKE:-make}

"$make" -C "$TOP" --no-print-directory install prefix="$scratch"
cp "$TOP/tests/install/consumer.c" "$scratch"
cp "$scratch/consumer.c" "$scratch/consumer.cpp"
cd "$scratch"

read -ra cflags < <(pkg-config --cflags untorn)
read -ra libs < <(pkg-config --libs untorn)
read -ra static_libs < <(pkg-config --static --libs untorn | sed 's/-luntorn/-l:libuntorn.a/')

use() { # name compiler flags...
    local name=$1 cc=$2
    shift 2
    "$cc" -Wall -Wextra -Werror "${cflags[@]}" "$@" -o "$name-shared" "${libs[@]}"
    "$cc" -Wall -Wextra -Werror "${cflags[@]}" "$@" -o "$name-static" "${static_libs[@]}"
    LD_LIBRARY_PATH=$scratch/lib "./$name-shared"
    "./$name-static"
    readelf -d "$name-shared" | grep -q 'NEEDED.*libuntorn.so.0'
    ! readelf -d "$name-static" | grep -q 'NEEDED.*libuntorn'
}

use c "${CC:-cc}" -std=c11 -D_POSIX_C_SOURCE=200809L consumer.c
cxx=$(command -v c++ || command -v g++ || command -v clang++ || true)
if [ -n "$cxx" ]; then
    use cpp "$cxx" -std=c++11 consumer.cpp
else
    echo "no C++ compiler: C only"
fi

[ "$(pkg-config --modversion untorn)" = "$(./c-static | awk '{ print $2 }')" ]
"$make" -C "$TOP" --no-print-directory uninstall prefix="$scratch"
left=$(find bin lib include -type f -o -type l)
[ -z "$left" ] || { echo "left after uninstall: $left"; exit 1; }
