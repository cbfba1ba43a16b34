#!/bin/sh
# SPDX-License-Identifier: MIT
# The command untorn: following an array (see check_follow.py).
exec sh "$TOP/tests/tools/run_python.sh" check_follow.py
