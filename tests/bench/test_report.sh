#!/bin/sh
# SPDX-License-Identifier: MIT
# The report of the benchmarks, from sections of which some are hostile (check_report.py).
: "${TOP:?}"
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || {
    echo 'skipped: Python 3.9 is missing'
    exit 77
}
exec "$python" -B "$TOP/tests/bench/check_report.py"
