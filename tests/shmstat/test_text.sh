#!/bin/sh
# SPDX-License-Identifier: MIT
# shmstat: its tables (see check_text.py).
exec sh "$TOP/tests/shmstat/run_python.sh" check_text.py
