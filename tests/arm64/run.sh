#!/bin/bash
# SPDX-License-Identifier: MIT
# Compiles library and tests for ARM64 and runs them under qemu's user emulation: what
# `make check-arm64` runs.
#
# It shows that nothing is x86's own: sizes, alignment, atomics, compiler.  It does not show that
# the fences suffice, because emulation on x86 keeps x86's order of memory; docs/protocol.md argues
# that.  Debian's cross compiler and its packages for arm64 are used, the latter unpacked below
# $BUILD, so that the system keeps its one architecture.  What cannot be had is a visible skip.
#
# Environment: TOP, BUILD, JOBS, TESTS as for tests/run_tests.sh.
set -euo pipefail
: "${TOP:?}" "${BUILD:?}"
cross=aarch64-linux-gnu
root=$BUILD/arm64/root
packages=(liblz4-dev liblz4-1 libxxhash-dev libxxhash0 libcmocka-dev libcmocka0)

# Not for this emulator: it aborts on many threads, knows no other users, counts its own memory,
# takes minutes; and what a test starts is not emulated.
left_out='cache/test_append_for_ever|process/test_rights|segment/test_page_alloc'
left_out+='|store/test_power_cut|protocol/test_names'

skip() {
    echo "SKIPPED: $1"
    exit 0
}

install_tools() {
    command -v qemu-aarch64 >/dev/null && command -v $cross-gcc >/dev/null && return
    local sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    command -v apt-get >/dev/null || skip "only Debian's and Ubuntu's cross compiler is known here"
    $sudo apt-get update -qq &&
        $sudo apt-get install -y -qq --no-install-recommends \
            gcc-$cross libc6-dev-arm64-cross qemu-user ||
        skip "apt-get cannot install the cross compiler and the emulator"
}

unpack_packages() {
    [ ! -e "$root/complete" ] || return 0
    local apt=$BUILD/arm64/apt
    mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$root"
    local options=(-o APT::Architectures::="$(dpkg --print-architecture)"
        -o APT::Architectures::=arm64 -o Dir::State::Lists="$apt/lists"
        -o Dir::Cache="$apt" -o APT::Sandbox::User=root)
    (cd "$apt" && apt-get "${options[@]}" update -qq &&
        apt-get "${options[@]}" download -qq "${packages[@]/%/:arm64}") ||
        skip "Debian's packages for arm64 cannot be had"
    for package in "$apt"/*.deb; do
        dpkg -x "$package" "$root"
    done
    touch "$root/complete"
}

install_tools
unpack_packages
libraries=$root/usr/lib/$cross
make -C "$TOP" --no-print-directory BUILD="$BUILD/arm64" CC=$cross-gcc AR=$cross-ar SAN= \
    CPPFLAGS="-isystem $root/usr/include" \
    LDFLAGS="-L$libraries -Wl,-rpath-link,$libraries" all tests

programs=()
for source in "$TOP"/tests/{base,segment,array,protocol,promise,process,model,cache,store}/test_*.c; do
    name=${source#"$TOP"/}
    [[ ${name#tests/} =~ ^($left_out)\.c$ ]] || programs+=("$BUILD/arm64/${name%.c}")
done
export QEMU_LD_PREFIX=/usr/$cross QEMU_SET_ENV=LD_LIBRARY_PATH=$libraries
export UNTORN_TEST_SCALE="${UNTORN_TEST_SCALE:-10}" UNTORN_TEST_RUNNER=qemu-aarch64
BUILD=$BUILD/arm64 "$TOP"/tests/run_tests.sh "${programs[@]}"
