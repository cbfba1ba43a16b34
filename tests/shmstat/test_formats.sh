#!/bin/sh
# SPDX-License-Identifier: MIT
# shmstat: JSON, names and many arrays (see check_formats.py).
exec sh "$TOP/tests/shmstat/run_python.sh" check_formats.py
