# SPDX-License-Identifier: MIT
# Python packages for benchmarks, in environments of their own below $BUILD.  To be sourced.

# make_venv DIRECTORY PACKAGE...: 0 if they are there now.  Made once for the same packages; needs
# the package index the first time.
make_venv() {
    venv=$1
    shift
    [ "$(cat "$venv/.packages" 2>/dev/null)" = "$*" ] && return 0
    rm -rf "$venv"
    "${PYTHON:-python3}" -m venv "$venv" >"$venv.log" 2>&1 &&
        "$venv/bin/pip" install --quiet --disable-pip-version-check "$@" >>"$venv.log" 2>&1 &&
        echo "$*" >"$venv/.packages"
}
