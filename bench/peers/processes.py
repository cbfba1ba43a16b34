# SPDX-License-Identifier: MIT
"""The processes of one measurement: a writer on one processor, readers on another.

A child is forked, runs one function, and sends what that returns as JSON through a pipe.  It dies
with its parent.  What has to be seen at once is in a page of shared words.
"""

import ctypes
import json
import mmap
import os
import signal
import sys
import time
import traceback

READER, WRITER = 0, 1  # processors
PR_SET_PDEATHSIG = 1
QUIT_TIME = 1.0  # seconds that a child has, before it is killed: a lock may be held for ever


class Shared:
    """Words that all processes see, one writer each."""

    READY, COMMAND, PROGRESS, STAMP, START, END = range(6)
    READERS = 8  # from here on, a word for each reader: it has read once
    IDLE, WORK, QUIT = range(3)  # commands

    def __init__(self):
        self.words = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")

    def __getitem__(self, i):
        return self.words[i]

    def __setitem__(self, i, value):
        self.words[i] = value


class Failed(Exception):
    """A child's function did not end well; the text says why."""


class Deadline(BaseException):
    """Raised in a child by its alarm; not an Exception, so that no library swallows it."""


def _on_alarm(*_):
    raise Deadline


def set_alarm(seconds):
    """Raise Deadline then; 0: do not."""
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def pin(core):
    try:
        os.sched_setaffinity(0, {core})
    except OSError:
        print("peer: cannot pin to processor %d" % core, file=sys.stderr)


class Child:
    def __init__(self, core, function, *arguments):
        parent = os.getpid()
        self.pipe, end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.pipe)
            self._run(parent, core, end, function, arguments)
        os.close(end)

    @staticmethod
    def _run(parent, core, end, function, arguments):
        status, said = 1, ""
        try:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == parent:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                pin(core)
                said = json.dumps({"result": function(*arguments)})
                status = 0
        except BaseException as error:
            said = json.dumps({"error": "%s: %s" % (type(error).__name__, error)})
            traceback.print_exc()
        finally:
            try:
                with os.fdopen(end, "w", encoding="utf-8") as pipe:
                    pipe.write(said)
            finally:
                # Threads of libraries need not be waited for.
                os._exit(status)

    def result(self):
        """What its function returned, once it has; Failed if it raised or died."""
        with os.fdopen(self.pipe, encoding="utf-8") as pipe:
            said = pipe.read()
        self.pipe = -1
        status = self._wait()
        answer = json.loads(said) if said else {"error": "it ended with status %d" % status}
        if "error" in answer:
            raise Failed(answer["error"])
        return answer["result"]

    def ended(self):
        """True if it is dead; its result is still to be had."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _wait(self):
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        return status

    def stop(self):
        """Wait for its end, kill it if that does not come; it may have been waited for."""
        end = time.monotonic() + QUIT_TIME
        while self.pid and not self.ended() and time.monotonic() < end:
            time.sleep(0.002)
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            self._wait()
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1


def wait_until(condition, children, seconds):
    """True when the condition holds; Failed when a child ends before; False after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        for child in children:
            if child.ended():
                child.result()
                raise Failed("a process ended too early")
        if time.monotonic() >= end:
            return False
        time.sleep(0.0005)
    return True
