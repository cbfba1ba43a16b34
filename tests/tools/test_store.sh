#!/bin/sh
# SPDX-License-Identifier: MIT
# The command untorn: stores (see check_store.py).
exec sh "$TOP/tests/tools/run_python.sh" check_store.py
