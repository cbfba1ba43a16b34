#!/bin/sh
# SPDX-License-Identifier: MIT
# What peers write to: memory that was written to before, and as many copies as untorn's writer
# (check_copies.py).
: "${TOP:?}"
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || {
    echo 'skipped: Python 3.9 is missing'
    exit 77
}
exec "$python" -B "$TOP/tests/bench/check_copies.py"
