#!/bin/sh
# SPDX-License-Identifier: MIT
# The command untorn: how far it has come, on a terminal (see check_progress.py).
exec sh "$TOP/tests/tools/run_python.sh" check_progress.py
