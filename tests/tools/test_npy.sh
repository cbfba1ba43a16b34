#!/bin/sh
# SPDX-License-Identifier: MIT
# The command untorn: put and get .npy images of every type, rank, order and version (see
# check_npy.py).
exec sh "$TOP/tests/tools/run_python.sh" check_npy.py
