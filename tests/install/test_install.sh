#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs into a scratch prefix and uses what is there as a stranger would: a program compiled
# with pkg-config's flags, as C and as C++, against the shared and the static library; both tools;
# manual pages, documents and completion.  Then uninstalls and looks for leftovers.  At last the
# same below DESTDIR, with the directories of a distribution.
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

# By its path from there: make would take one with spaces for several.
BUILD=${BUILD#"$TOP"/}
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
    readelf -d "$name-shared" >"$name-needs" # not into grep -q, which may end first
    grep -q 'NEEDED.*libuntorn.so.0' "$name-needs"
    readelf -d "$name-static" >"$name-needs"
    ! grep -q 'NEEDED.*libuntorn' "$name-needs"
}

use c "${CC:-cc}" -std=c11 -D_POSIX_C_SOURCE=200809L consumer.c
cxx=$(command -v c++ || command -v g++ || command -v clang++ || true)
if [ -n "$cxx" ]; then
    use cpp "$cxx" -std=c++11 consumer.cpp
else
    echo "no C++ compiler: C only"
fi

[ "$(pkg-config --modversion untorn)" = "$(./c-static | awk '{ print $2 }')" ]

echo "== tools"
"$scratch/bin/untorn" --version
"$scratch/bin/shmstat" --version
mkdir shm
UNTORN_SHM_DIR=$scratch/shm "$scratch/bin/untorn" create here
UNTORN_SHM_DIR=$scratch/shm "$scratch/bin/shmstat" --no-header | grep '^here '

echo "== Python"
python=${PYTHON:-python3}
if "$python" -c 'import sys, numpy; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
    modules=$(pkg-config --variable=pythondir untorn)
    env -u UNTORN_LIBRARY -u PYTHONDONTWRITEBYTECODE -u PYTHONPYCACHEPREFIX \
        UNTORN_SHM_DIR="$scratch/shm" PYTHONPATH="$modules" "$python" - "$scratch/lib/" <<'END'
import sys
import untorn
with untorn.Writer("python") as writer, untorn.Reader("python") as reader:
    writer.require("x", (3,)).write([1, 2, 3])
    writer.commit()
    assert reader.array("x").read()[0].tolist() == [1, 2, 3]
assert sys.argv[1] + "libuntorn.so" in open("/proc/self/maps").read(), "another library"
END
    [ -n "$(ls "$modules"/__pycache__)" ] # for uninstalling
else
    echo "no Python 3.8 with NumPy"
fi

echo "== manual pages, documents, completion"
for page in man1/untorn.1 man1/shmstat.1 man3/untorn.3 man5/untorn-segment.5 man5/untorn-store.5 \
    man5/untorn-manifest.5; do
    [ -s "share/man/$page" ] || { echo "no page $page"; exit 1; }
done
grep -q "$scratch/share/doc/untorn/troubleshooting.md" share/man/man1/untorn.1
! grep -l '@[a-z]*@' share/man/man*/* lib/pkgconfig/untorn.pc || { echo "not filled in"; exit 1; }
calls=$(awk -v list=1 -f "$TOP/docs/man/header_to_man.awk" include/untorn.h)
for call in $calls; do
    [ "$(cat "share/man/man3/$call.3")" = ".so man3/untorn.3" ] || { echo "no page $call"; exit 1; }
done
if man -w ls >/dev/null 2>&1 || man --version >/dev/null 2>&1; then
    [ -n "$(man -M share/man untorn_read 2>/dev/null)" ] || { echo "man finds no untorn_read"; exit 1; }
fi
for document in README.md deployment.md sizing.md troubleshooting.md protocol.md store.md; do
    [ -s "share/doc/untorn/$document" ] || { echo "no $document"; exit 1; }
done
for tool in untorn shmstat; do # the way in which bash-completion finds them
    bash -c 'source "$1" && complete -p "$2"' - "share/bash-completion/completions/$tool" "$tool" >/dev/null
done

nothing_left() {
    local left
    left=$(find "$@" -type f -o -type l)
    [ -z "$left" ] || { echo "left after uninstall: $left"; exit 1; }
}
"$make" -C "$TOP" --no-print-directory uninstall prefix="$scratch"
nothing_left bin lib include share
[ ! -e share/doc/untorn ] || { echo "left after uninstall: share/doc/untorn"; exit 1; }
[ ! -e share/untorn ] || { echo "left after uninstall: share/untorn"; exit 1; }

echo "== DESTDIR"
where=(DESTDIR="$scratch/stage" prefix=/usr libdir=/usr/lib/x86_64-linux-gnu
    mandir=/usr/share/man docdir=/usr/share/doc/libuntorn-dev)
mkdir -p stage/usr/bin
echo other >stage/usr/bin/other
"$make" -C "$TOP" --no-print-directory install "${where[@]}" >/dev/null
for file in bin/untorn lib/x86_64-linux-gnu/libuntorn.so lib/x86_64-linux-gnu/pkgconfig/untorn.pc \
    share/untorn/untorn.py share/man/man1/untorn.1 share/doc/libuntorn-dev/sizing.md include/untorn.h; do
    [ -e "stage/usr/$file" ] || { echo "no /usr/$file"; exit 1; }
done
! grep -rl "$scratch" stage || { echo "DESTDIR was written into files"; exit 1; }
[ "$(find stage -perm /022 ! -type l)" = "" ] || { echo "writable for all: $(find stage -perm /022)"; exit 1; }
"$make" -C "$TOP" --no-print-directory uninstall "${where[@]}" >/dev/null
[ "$(find stage -type f -o -type l)" = stage/usr/bin/other ] || { echo "left: $(find stage -type f)"; exit 1; }
