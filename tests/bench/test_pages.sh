#!/bin/sh
# SPDX-License-Identifier: MIT
# The report in short and as pages of Markdown (check_pages.py).
: "${TOP:?}"
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || {
    echo 'skipped: Python 3.9 is missing'
    exit 77
}
exec "$python" -B "$TOP/tests/bench/check_pages.py"
