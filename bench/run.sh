#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make bench` and `make bench-full` run, after everything is compiled: makes the Python
# environments of the peers, which takes a while the first time, and runs harness/run.py.
# bench/README.md says what may be set in the environment.
set -u

export BUILD="${BUILD:-build}" PYTHON="${PYTHON:-python3}" BENCH_TIER="${BENCH_TIER:-quick}"
TOP=$(cd "$(dirname "$0")/.." && pwd)
export TOP PYTHONDONTWRITEBYTECODE=1

. "$TOP/bench/support/venv.sh"

# Whatever is missing then is reported by the parts that need it.
case " ${BENCH_PARTS:-store peers asker regions} " in
*' store '* | *' peers '* | *' asker '* | *' regions '*)
    zarr2_venv || true
    zarr3_venv && BENCH_VENV=$BUILD/venv-bench/bin/python
    ;;
esac
export BENCH_VENV="${BENCH_VENV:-}" BENCH_VENVS_TRIED=1

exec "$PYTHON" "$TOP/bench/harness/run.py"
