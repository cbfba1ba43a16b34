#!/bin/sh
# SPDX-License-Identifier: MIT
# shmstat: writers, damage and rights (see check_states.py).
exec sh "$TOP/tests/shmstat/run_python.sh" check_states.py
