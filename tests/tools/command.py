# SPDX-License-Identifier: MIT
"""What the tests of the command share: running it, and one segment that is removed at the end.

The segment's name is in the environment (SEGMENT), made unique by the shell script that starts the
test, which also removes the segment should this program die."""

import atexit
import io
import os
import signal
import subprocess
import sys
import time

import numpy as np

UNTORN = os.path.join(os.environ["BUILD"], "untorn")
SEGMENT = os.environ["SEGMENT"]
HUNG = 400  # seconds after which something counts as hung; the test itself has 900
checks = 0


def run(*arguments, data=b"", status=0, **options):
    """Run untorn with `data` on standard input; the exit status must be `status`."""
    done = subprocess.run([UNTORN, *map(str, arguments)], input=data, capture_output=True,
                          timeout=HUNG, **options)
    if done.returncode != status:
        fail(f"untorn {' '.join(map(str, arguments))}: exit status {done.returncode}, not {status}:"
             f" {done.stderr.decode(errors='replace')}")
    if status:
        check(done.stderr.startswith(b"untorn: "), f"message: {done.stderr!r}")
    return done


def start(*arguments, before=lambda: None):
    """Start untorn with pipes, after `before` in its process.  Shells start background jobs with
    SIGINT ignored; undo that."""
    def heed_interrupts():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        before()
    started = subprocess.Popen([UNTORN, *map(str, arguments)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               preexec_fn=heed_interrupts)
    # A test that fails leaves nothing running, stopped processes included.
    atexit.register(lambda: started.poll() is None and started.kill())
    return started


def fail(message):
    print(f"FAILED: {message}", file=sys.stderr)
    sys.exit(1)


def check(condition, message):
    global checks
    checks += 1
    if not condition:
        fail(message)


def image(array, version=None):
    """The array as an .npy image."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asanyarray(array), version=version, allow_pickle=False)
    return buffer.getvalue()


def put(name, array, *arguments, version=None, **options):
    return run("put", SEGMENT, name, "-", *arguments, data=image(array, version), **options)


def get(name, *arguments):
    return np.load(io.BytesIO(run("get", SEGMENT, name, *arguments).stdout))


def same(got, wanted, message):
    wanted = np.asarray(wanted)
    little = wanted.dtype.newbyteorder("<")
    check(got.dtype == little, f"{message}: data type {got.dtype}, not {little}")
    check(got.shape == wanted.shape, f"{message}: shape {got.shape}, not {wanted.shape}")
    # Bytes, not values: NaNs and the padding of strings count.
    check(got.tobytes() == wanted.astype(little).tobytes(), f"{message}: other content")


def catches(process, number):
    """Whether the process has a handler for this signal yet."""
    with open(f"/proc/{process.pid}/status") as file:
        caught = next(line for line in file if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def eventually(condition, message, seconds=HUNG):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            fail(f"not within {seconds} s: {message}")
        time.sleep(0.01)


def remove_segment():
    subprocess.run([UNTORN, "rm", SEGMENT], capture_output=True)


def done():
    remove_segment()
    print(f"{checks} checks passed")
