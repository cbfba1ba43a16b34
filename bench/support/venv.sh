# SPDX-License-Identifier: MIT
# Python packages for benchmarks, in environments of their own below $BUILD.  To be sourced.

# make_venv DIRECTORY PACKAGE...: 0 if they are there now.  Made once for the same packages; needs
# the package index the first time.  With BENCH_VENVS_TRIED nothing is installed any more.
make_venv() {
    venv=$1
    shift
    [ "$(cat "$venv/.packages" 2>/dev/null)" = "$*" ] && return 0
    [ -z "${BENCH_VENVS_TRIED:-}" ] || return 1
    echo "Installing Python packages into $venv: $*" >&2
    rm -rf "$venv"
    "${PYTHON:-python3}" -m venv "$venv" >"$venv.log" 2>&1 &&
        "$venv/bin/pip" install --quiet --disable-pip-version-check "$@" >>"$venv.log" 2>&1 &&
        echo "$*" >"$venv/.packages" && return 0
    echo "SKIPPED: what needs them; $venv.log says why" >&2
    return 1
}

# The two that there are: zarr of version 2 and of version 3 exclude each other.
zarr2_venv() {
    make_venv "$BUILD/venv-bench2" 'zarr>=2.18,<3' 'numcodecs<0.16' 'numpy<2' fasteners
}

zarr3_venv() {
    make_venv "$BUILD/venv-bench" 'zarr>=3' tensorstore icechunk fasteners
}
