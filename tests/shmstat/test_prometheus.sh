#!/bin/sh
# SPDX-License-Identifier: MIT
# shmstat: its output for Prometheus (see check_prometheus.py), parsed by promtool.
#
# Debian has promtool in the package "prometheus", which would also install and start a server.  So
# the package is only unpacked, into the build directory.
: "${TOP:?}" "${BUILD:?}"
unpacked=$BUILD/promtool
if ! command -v promtool >/dev/null && [ ! -x "$unpacked/usr/bin/promtool" ]; then
    mkdir -p "$unpacked" && cd "$unpacked" &&
        timeout 60 apt-get -o Acquire::Retries=0 download prometheus >/dev/null 2>&1 &&
        dpkg -x prometheus_*.deb . && rm -f prometheus_*.deb
    cd "$TOP" || exit 1
fi
PATH=$PATH:$unpacked/usr/bin
export PATH
command -v promtool >/dev/null || {
    echo 'skipped: promtool is missing (Debian: prometheus)'
    exit 77
}
exec sh "$TOP/tests/shmstat/run_python.sh" check_prometheus.py
