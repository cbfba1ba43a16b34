#!/bin/sh
# SPDX-License-Identifier: MIT
# Benchmarks where packages of peers are missing, or are being installed (check_absent.py).
: "${TOP:?}"
[ -z "${SAN:-}" ] || {
    echo 'skipped: what is compiled here is without the sanitizers of the library'
    exit 77
}
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || {
    echo 'skipped: Python 3.9 is missing'
    exit 77
}
exec "$python" -B "$TOP/tests/bench/check_absent.py"
