# SPDX-License-Identifier: MIT
"""Runs a peer once, and leaves nothing of it behind.

A peer has a session of its own, so that a Ctrl-C reaches only the runner, and so that all that the
peer started can be ended together.  Peers remove what they made when they are asked to end
(SIGTERM), which the kernel does, too, should the runner be killed; what one that had to be killed
left in /dev/shm or /tmp is found by the process number in its name.
"""

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess

PLACES = ("/dev/shm", "/tmp")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
PATIENCE = 5  # seconds for a peer to clean up
ENDS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def _signal_group(child, number):
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        pass


def _remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        os.unlink(path)


def _remove_leftovers(pid):
    mine = re.compile(r"untorn.*bench\D(.*\D)?%d(?!\d)" % pid)
    for place in PLACES:
        for name in filter(mine.match, os.listdir(place)):
            _remove(os.path.join(place, name))


def _end(child):
    if child.poll() is None:
        _signal_group(child, signal.SIGTERM)
        try:
            child.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            pass
    _signal_group(child, signal.SIGKILL)
    if child.poll() is None:
        child.wait()
    if child.returncode != 0:
        _remove_leftovers(child.pid)


def _prepare():
    """In the peer's process."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)


def _start(command):
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=_prepare,
    )


def _run(command, limit):
    """An interrupt has to wait while a child is there that nobody would end, and while it ends."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    try:
        child = _start(command)
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            out, errors = child.communicate(timeout=limit)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
            _end(child)
            child.stdout.close()
            child.stderr.close()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return out, errors, child.returncode


def _how_it_ended(errors, status):
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    if lines:
        return "; ".join(lines)[-200:]
    return "ended by signal %d" % -status if status < 0 else "ended with status %d" % status


def measure(command, case):
    """The cell that the peer printed, or {"unable": why}."""
    limit = 60 + 10 * case.seconds
    try:
        out, errors, status = _run(command + case.arguments(), limit)
    except subprocess.TimeoutExpired:
        return {"unable": "did not end within %.0f s" % limit}
    except OSError as error:
        return {"unable": str(error)}
    for line in out.splitlines():
        if line.startswith("{"):
            try:
                return _judged(json.loads(line), case, errors, status)
            except ValueError as error:
                return {"unable": "printed what is no JSON: %s" % error}
    return {"unable": _how_it_ended(errors, status)}


def _judged(cell, case, errors, status):
    """A cell counts only if it is of the workload asked for, and its program ended well."""
    if "unable" in cell:
        return cell
    if status != 0:
        return {"unable": _how_it_ended(errors, status)}
    asked = {"workload": case.workload, "bytes": case.bytes, "arrays": case.arrays}
    asked["readers"] = case.readers
    for name, value in asked.items():
        if cell.get(name, value) != value:
            return {"unable": "measured %s %s, not %s" % (name, cell[name], value)}
    return cell
