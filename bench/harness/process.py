# SPDX-License-Identifier: MIT
"""One program of a part: run with a limit of time, its output kept, nothing of it left behind.

It gets a session of its own, so that what it started can be ended with it.  It is asked by SIGINT
first, for its servers and shared memory to be cleaned up; so does the kernel, should the harness be
killed.  An interrupt has to wait while a program is there that nobody would end, and while it ends:
who is impatient must not leave half of it behind.
"""

import ctypes
import os
import signal
import subprocess
import time

_PATIENCE = 15  # seconds, for each way of asking
_TAIL = 4096
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
ENDS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Failed(RuntimeError):
    """The program did not end as it should; the text says how."""


def _last_line(path):
    """The last that was said, of which a progress line in place may be many."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - _TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [t.strip() for t in text.replace("\r", "\n").split("\n")]
    lines = [t for t in lines if t]
    return "".join(c for c in lines[-1] if c.isprintable()) if lines else ""


def _end(child):
    """It, and what is left of its session."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            try:
                os.killpg(child.pid, number)
                child.wait(_PATIENCE)
            except (subprocess.TimeoutExpired, ProcessLookupError):
                continue
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _watch(child, limit, errors, show):
    start = time.monotonic()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
    while True:
        try:
            return child.wait(0.3)
        except subprocess.TimeoutExpired:
            pass
        if time.monotonic() - start > limit:
            raise Failed("stopped after %d s" % limit)
        show(_last_line(errors))


def _how(status, errors):
    """In words, with the last that it said."""
    said = _last_line(errors)
    if status < 0:
        text = "ended by %s" % signal.Signals(-status).name
    else:
        text = "exit status %d" % status
    return text + (": " + said[-300:] if said else "")


def _prepare():
    """In the program's process: signals as it would have them from a shell."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    for number in ENDS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)


def _start(command, environment, out, err):
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=environment,
            start_new_session=True,
            preexec_fn=_prepare,
        )
    except OSError as error:
        raise Failed(str(error)) from error


def _run(command, environment, limit, log, show):
    errors = log + ".err"
    with open(log + ".out", "wb") as out, open(errors, "wb") as err:
        child = _start(command, environment, out, err)
        try:
            status = _watch(child, limit, errors, show)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
            _end(child)
    if status != 0:
        raise Failed(_how(status, errors))


def run(command, environment, limit, log, show):
    """`log`: its output goes to log.out and log.err; `show` gets its last line again and again."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    try:
        _run(command, environment, limit, log, show)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
