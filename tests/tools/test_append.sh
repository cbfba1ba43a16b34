#!/bin/sh
# SPDX-License-Identifier: MIT
# The command untorn: rows and streams (see check_append.py).
exec sh "$TOP/tests/tools/run_python.sh" check_append.py
