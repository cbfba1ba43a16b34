#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make bench` runs.
exec "$(dirname "$0")/run_core.sh"
