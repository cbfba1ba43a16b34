#!/bin/sh
# SPDX-License-Identifier: MIT
# What a benchmark leaves in its scratch directory when it is ended (check_scratch.py).
: "${TOP:?}"
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || {
    echo 'skipped: Python 3.9 is missing'
    exit 77
}
exec "$python" -B "$TOP/tests/bench/check_scratch.py"
