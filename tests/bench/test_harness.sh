#!/bin/sh
# SPDX-License-Identifier: MIT
# The harness of the benchmarks, with scripts in their place (check_harness.py).
: "${TOP:?}"
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || {
    echo 'skipped: Python 3.9 is missing'
    exit 77
}
exec "$python" -B "$TOP/tests/bench/check_harness.py"
