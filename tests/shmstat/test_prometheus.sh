#!/bin/sh
# SPDX-License-Identifier: MIT
# shmstat: its output for Prometheus (see check_prometheus.py), which needs promtool from Debian's
# package "prometheus".
command -v promtool >/dev/null || {
    echo 'skipped: promtool is missing (Debian: prometheus)'
    exit 77
}
exec sh "$TOP/tests/shmstat/run_python.sh" check_prometheus.py
