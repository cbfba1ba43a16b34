#!/bin/bash
# SPDX-License-Identifier: MIT
# Whether other programs read Untorn's stores: what `make check-interop` runs.
#
#   1. write_cases writes arrays of all kinds to stores of both formats, and exports them;
#   2. each client reads all of them; every refusal is one of the table in docs/interop.md;
#   3. listing, copying and consolidating do what docs/interop.md says;
#   4. a plain reader and a busy writer: no torn array with the rule, some without;
#   5. the programs in docs/interop.md, on a store that is being flushed to;
#   6. after all that the stores have the hashes that they were written with.
#
# Clients come from PyPI, into build/venv-*, and from Debian.  What cannot be installed is skipped,
# and the last line says how much was.  Environment: TOP, BUILD, CC.
set -uo pipefail
: "${TOP:?}" "${BUILD:?}"
cc=${CC:-cc}
here=$TOP/tests/interop
venvs=$TOP/build
export PYTHONDONTWRITEBYTECODE=1 DEBIAN_FRONTEND=noninteractive
passed=0 failed=0 skipped=0

scratch=$(mktemp -d)
# Segments of its own, in memory if possible, which nothing that is killed can leave behind.
UNTORN_SHM_DIR=$(mktemp -d "${UNTORN_SHM_DIR:-/dev/shm}/interop.XXXXXX" 2>/dev/null) || UNTORN_SHM_DIR=$scratch/shm
mkdir -p "$UNTORN_SHM_DIR"
export UNTORN_SHM_DIR
clean_up() { rm -rf "$scratch" "$UNTORN_SHM_DIR"; }
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

# step TITLE COMMAND...: run it, print its output, count it.
step() {
    local title=$1 status=0
    shift
    echo "== $title"
    "$@" || status=$?
    if [ "$status" = 0 ]; then
        passed=$((passed + 1))
    elif [ "$status" = 77 ]; then
        skip "$title: not of the version that docs/interop.md is about"
    else
        failed=$((failed + 1))
        echo "FAILED: $title (exit status $status)"
    fi
}

skip() {
    skipped=$((skipped + 1))
    echo "skipped: $*"
}

# ------------------------------------------------------------ what has to be installed

packages() {
    local sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    command -v apt-get >/dev/null &&
        $sudo apt-get update -qq </dev/null >/dev/null &&
        $sudo apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
}

# A Python that the pinned releases are for, and that can make virtual environments.
find_python() {
    local python
    for python in python3 /usr/bin/python3; do
        "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null && echo "$python" && return
    done
    return 1
}

# venv NAME: build/venv-NAME has what requirements-NAME.txt says; the copy in it is the mark that
# it was completed.
venv() {
    local directory=$venvs/venv-$1 wanted=$here/requirements-$1.txt
    cmp -s "$wanted" "$directory/complete" && "$directory/bin/python" -c pass && return
    local python
    python=$(find_python) || { packages python3-venv && python=$(find_python); } || return
    rm -rf "$directory"
    echo "Installing $directory"
    "$python" -m venv "$directory" &&
        "$directory/bin/pip" install -q --disable-pip-version-check --retries 2 \
            --only-binary numpy,numcodecs,tensorstore -r "$wanted" &&
        cp "$wanted" "$directory/complete"
}

# debian MODULE PACKAGE: the distribution's Python has it.
debian() {
    /usr/bin/python3 -c "import $1" 2>/dev/null && return
    echo "Installing $2"
    packages python3 python3-numpy "$2" && /usr/bin/python3 -c "import $1"
}

# ------------------------------------------------------------ the steps

compile() {
    local output=$1
    shift
    "$cc" -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Wconversion -Wshadow -Werror \
        ${SAN:+-fsanitize=$SAN} -I"$TOP/include" -o "$scratch/$output" "$@" "$BUILD/libuntorn.a" \
        -llz4 -lxxhash -lm -pthread
}

compile_all() {
    compile write_cases "$here/write_cases.c" "$here/samples.c" "$here/values.c" &&
        compile uniform_writer "$here/uniform_writer.c"
}

write_cases() {
    "$scratch/write_cases" "$scratch/v2" 2 && "$scratch/write_cases" "$scratch/v3" 3
}

# read_all NAME PYTHON [VERSION]: a client's lines for the stores and for the exported ones.  With
# VERSION, that of a distribution's client: another one may refuse other things than the table says.
read_all() {
    local name=$1 python=$2 version=${3:-} kind status=0
    for kind in store export; do
        timeout 120 "$python" "$here/read_$name.py" "$scratch" "$kind" >"$scratch/lines" \
            2>"$scratch/messages" || status=$?
        if [ "$status" != 0 ]; then
            cat "$scratch/messages"
            break
        fi
        [ "$kind" = export ] || head -n 1 "$scratch/messages"
        echo "$kind:"
        "$python" "$here/check_table.py" "$TOP/docs/interop.md" "$scratch/lines" || status=1
    done
    if [ "$status" != 0 ] && [ -n "$version" ] &&
        ! head -n 1 "$scratch/messages" | grep -qF -e "$version"; then
        return 77
    fi
    return "$status"
}

# documented NAME: the Python program of this name in docs/interop.md, as a file.
documented() {
    awk -v wanted="# $1" '
        /^```python$/ { getline; inside = $0 == wanted }
        /^```$/       { inside = 0 }
        inside        { print; found = 1 }
        END           { exit !found }' "$TOP/docs/interop.md" >"$scratch/$1"
}

with_zarr2() {
    local python=$venvs/venv-zarr2/bin/python
    step "zarr-python 2 reads all cases" read_all zarr "$python"
    step "listing, copying, consolidating: zarr-python 2" \
        "$python" "$here/check_listing.py" "$scratch"
    step "a busy writer: zarr-python 2" \
        "$python" "$here/check_tearing.py" "$scratch/uniform_writer" "$scratch" 2
}

with_zarr3() {
    local python=$venvs/venv-zarr3/bin/python format
    step "zarr-python 3 reads all cases" read_all zarr "$python"
    step "TensorStore reads all cases" read_all tensorstore "$python"
    step "xarray reads all cases" read_all xarray "$python"
    step "listing, copying, consolidating: zarr-python 3" \
        "$python" "$here/check_listing.py" "$scratch"
    for format in 2 3; do
        step "a busy writer: zarr-python 3, format $format" \
            "$python" "$here/check_tearing.py" "$scratch/uniform_writer" "$scratch" "$format"
    done
    step "docs/interop.md: holding a snapshot" with_document snapshot.py "$python" check_lease.py
    step "docs/interop.md: dask" with_document mean_over_time.py "$python" check_dask.py
    step "xarray's defaults" "$python" "$here/check_masking.py" "$scratch"
}

# Nothing that clients did has changed anything in a store.
verify() {
    local store
    for store in "$scratch"/v[23]/store "$scratch"/v[23]/export; do
        "$BUILD/untorn" verify "$store" || return
    done
}

with_document() {
    documented "$1" && "$2" "$here/$3" "$BUILD/untorn" "$scratch"
}

step "compile" compile_all
[ "$failed" != 0 ] || step "write" write_cases
if [ "$failed" = 0 ]; then
    if venv zarr2; then with_zarr2; else skip "zarr-python 2 cannot be installed"; fi
    if venv zarr3; then with_zarr3; else
        skip "zarr-python 3, TensorStore, xarray and dask cannot be installed"; fi
    if debian osgeo.gdal python3-gdal; then
        step "GDAL reads all cases" read_all gdal /usr/bin/python3 "GDAL 3.6."
    else skip "GDAL cannot be installed"; fi
    if debian netCDF4 python3-netcdf4; then
        step "netCDF reads all cases" read_all netcdf /usr/bin/python3 "libnetcdf 4.9.0"
    else skip "netCDF cannot be installed"; fi
    step "the stores are as they were written" verify
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
