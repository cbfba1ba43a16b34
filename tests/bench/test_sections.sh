#!/bin/sh
# SPDX-License-Identifier: MIT
# What parts hand in, hostile things among it (check_sections.py).
: "${TOP:?}"
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || {
    echo 'skipped: Python 3.9 is missing'
    exit 77
}
exec "$python" -B "$TOP/tests/bench/check_sections.py"
