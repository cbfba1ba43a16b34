#!/bin/sh
# SPDX-License-Identifier: MIT
# shmstat: a terminal (see check_screen.py).
exec sh "$TOP/tests/shmstat/run_python.sh" check_screen.py
