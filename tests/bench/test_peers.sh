#!/bin/sh
# SPDX-License-Identifier: MIT
# The runner of the peers, and what a peer of known faults is said to do (check_peers.py).
: "${TOP:?}"
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || {
    echo 'skipped: Python 3.9 is missing'
    exit 77
}
exec "$python" -B "$TOP/tests/bench/check_peers.py"
