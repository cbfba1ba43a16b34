#!/bin/sh
# SPDX-License-Identifier: MIT
# Torn arrays of the asker's scenario, made by hand (check_asker.py).
: "${TOP:?}"
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || {
    echo 'skipped: Python 3.9 is missing'
    exit 77
}
exec "$python" -B "$TOP/tests/bench/check_asker.py"
