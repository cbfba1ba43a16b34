#!/bin/bash
# SPDX-License-Identifier: MIT
# make dist: two runs give the same bytes, the archive has what git has and nothing else, and the
# unpacked tree builds, installs and works without git.  It is of the last commit, so it is compared
# with that, not with the working tree.  Compiles everything once.
# Environment: TOP, BUILD, SAN, MAKE.
set -euo pipefail
: "${TOP:?}" "${BUILD:?}"
if [ -n "${SAN:-}" ]; then
    echo "skipped: the sanitizers have nothing to find in an archive"
    exit 77
fi
command -v git >/dev/null || { echo "skipped: no git"; exit 77; }
[ "$(git -C "$TOP" rev-parse --show-toplevel 2>/dev/null)" = "$(cd "$TOP" && pwd -P)" ] ||
    { echo "skipped: this tree is not a git repository"; exit 77; }
git -C "$TOP" cat-file -e HEAD:docs/man/header_to_man.awk 2>/dev/null ||
    { echo "skipped: the last commit has no make install of this kind"; exit 77; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
make=${MAKE:-make}
fail() { echo "$*"; exit 1; }
dist() { "$make" -C "$TOP" --no-print-directory dist BUILD="$1" >/dev/null 2>&1; }

dist "$scratch/one"
sleep 1.1 # so that a time of today in it would differ
(umask 077 && dist "$scratch/two")
archive=$(cd "$scratch/one" && echo untorn-*.tar.gz)
cmp "$scratch/one/$archive" "$scratch/two/$archive" || fail "two runs differ"

tar -xzf "$scratch/one/$archive" -C "$scratch"
tree=$scratch/${archive%.tar.gz}
diff <(git -C "$TOP" ls-tree -r --name-only HEAD | sort) \
    <(cd "$tree" && find . -type f -o -type l | sed 's|^\./||' | sort) || fail "other files than git has"
find "$scratch" -name '*.tar.gz' -delete

unset BUILD TOP MAKEFLAGS
cd "$tree"
prefix=$scratch/prefix
"$make" -j2 --no-print-directory CFLAGS=-O0 prefix="$prefix" install >"$scratch/log" 2>&1 ||
    fail "make install failed: $(tail "$scratch/log")"
UNTORN_SHM_DIR=$scratch
export UNTORN_SHM_DIR
head -c 80 /dev/urandom >raw
"$prefix/bin/untorn" put works a --dtype u1 --shape 80 <raw
"$prefix/bin/untorn" get works a | tail -c 80 | cmp - raw
"$prefix/bin/shmstat" works >shown
grep -q '^works ' shown
"$prefix/bin/untorn" rm works
[ "untorn-$("$prefix/bin/untorn" --version | awk '{ print $2 }')" = "${archive%.tar.gz}" ] ||
    fail "$archive has another version in it"
if "$make" --no-print-directory dist >"$scratch/log" 2>&1; then fail "make dist without git should fail"; fi
grep -q 'needs the git repository' "$scratch/log" || fail "message: $(cat "$scratch/log")"
