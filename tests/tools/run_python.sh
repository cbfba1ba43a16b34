#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one of the Python tests beside this script on a segment of its own, which is removed at the
# end however the test ends.  Exit status 77, skipped, without Python 3 and NumPy.
set -u
python=${PYTHON:-python3}
"$python" -c 'import sys, numpy; sys.exit(sys.version_info < (3, 7))' 2>/dev/null || {
    echo 'skipped: Python 3 with NumPy is missing'
    exit 77
}
SEGMENT=test-tools-$(basename "$1" .py)-$$
WORK=$(mktemp -d)
export SEGMENT WORK BUILD TOP
trap 'rm -rf "$WORK"; "$BUILD/untorn" rm "$SEGMENT" 2>/dev/null; :' EXIT
trap 'exit 1' INT TERM HUP
PYTHONDONTWRITEBYTECODE=1 "$python" "$TOP/tests/tools/$1"
