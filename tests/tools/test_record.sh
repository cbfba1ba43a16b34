#!/bin/sh
# SPDX-License-Identifier: MIT
# The command untorn: recording kernel counters (see check_record.py).
exec sh "$TOP/tests/tools/run_python.sh" check_record.py
