# SPDX-License-Identifier: MIT
# Python packages for benchmarks, in environments of their own below $BUILD.  To be sourced.

# stoppable COMMAND...: a shell that waits for a program in the foreground does not end by a signal
# before that does; this one ends, and all that the program has started.
stoppable() {
    setsid "$@" </dev/null &
    stoppable_pid=$!
    trap 'kill -- -$stoppable_pid 2>/dev/null; exit 129' HUP
    trap 'kill -- -$stoppable_pid 2>/dev/null; exit 130' INT
    trap 'kill -- -$stoppable_pid 2>/dev/null; exit 143' TERM
    wait "$stoppable_pid"
    set -- $?
    trap - HUP INT TERM
    return "$1"
}

# make_venv DIRECTORY PACKAGE...: 0 if they are there now.  Made once for the same packages; needs
# the package index the first time.  With BENCH_VENVS_TRIED nothing is installed any more.
make_venv() {
    venv=$1
    shift
    [ "$(cat "$venv/.packages" 2>/dev/null)" = "$*" ] && return 0
    [ -z "${BENCH_VENVS_TRIED:-}" ] || return 1
    echo "Installing Python packages into $venv: $*" >&2
    rm -rf "$venv"
    stoppable "${PYTHON:-python3}" -m venv "$venv" >"$venv.log" 2>&1 &&
        stoppable "$venv/bin/pip" install --quiet --disable-pip-version-check "$@" \
            >>"$venv.log" 2>&1 &&
        echo "$*" >"$venv/.packages" && return 0
    rm -rf "$venv"
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
