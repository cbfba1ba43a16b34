#!/bin/bash
# SPDX-License-Identifier: MIT
# What the codec and the metadata writer make is read by zarr-python and numcodecs, and what
# c-blosc makes is read by the codec.  Skipped without those; UNTORN_ZARR_PYTHON names a Python
# that has them (zarr 2 reads format 2 only; zarr 3 both).  Environment: TOP, BUILD, CC.
set -euo pipefail
: "${TOP:?}" "${BUILD:?}"
cc=${CC:-cc}
[ -z "${SAN:-}" ] || { echo "skipped: the same without sanitizers"; exit 77; }

python=
for candidate in "${UNTORN_ZARR_PYTHON:-}" "${PYTHON:-}" python3 /usr/bin/python3; do
    if [ -n "$candidate" ] && "$candidate" -c 'import zarr, numcodecs' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || { echo 'skipped: no Python with zarr and numcodecs'; exit 77; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP

"$cc" -std=c11 -D_GNU_SOURCE -I"$TOP/include" -I"$TOP/src" -Wall -Wextra -Werror \
    "$TOP/tests/store/interop_files.c" "$BUILD/libuntorn.a" -llz4 -lxxhash -pthread \
    -o "$scratch/interop_files"
"$scratch/interop_files" write "$scratch"
PYTHONDONTWRITEBYTECODE=1 "$python" "$TOP/tests/store/check_interop.py" "$scratch" \
    "$scratch/interop_files"
