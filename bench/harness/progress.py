# SPDX-License-Identifier: MIT
"""How far a run is: one line in place on a terminal, otherwise a line per part.

Nobody may be there to read it any more, because the terminal was closed; the run does not end by
that.
"""

import contextlib
import shutil
import sys
import time


def clock_text(seconds):
    return "%d:%02d" % divmod(int(seconds), 60)


class Progress:
    """On standard error."""

    def __init__(self, parts, file=sys.stderr):
        self._file, self._parts = file, parts
        self._in_place = file.isatty()
        self._start = time.monotonic()
        self._part, self._number, self._shown = "", 0, False

    def begin(self, part):
        self._part, self._number = part, self._number + 1

    def show(self, what, said=""):
        """`said`: the last that the program which runs now has said."""
        if not self._in_place:
            return
        text = "%s  [%d/%d %s] %s" % (
            clock_text(time.monotonic() - self._start),
            self._number,
            self._parts,
            self._part,
            what,
        )
        if said:
            text += "  " + said
        width = shutil.get_terminal_size().columns - 1
        self._write("\r\033[K" + text[:width])
        self._shown = True

    def _write(self, text):
        with contextlib.suppress(OSError):
            self._file.write(text)
            self._file.flush()

    def line(self, text):
        """A line that stays."""
        self._write(("\r\033[K" if self._shown else "") + text + "\n")
        self._shown = False

    def end(self, part):
        """`part`: as it stands in the results."""
        text = "%s: %s, %s" % (part["name"], part["state"], clock_text(part["seconds"] or 0))
        self.line(text)
        for reason in part["reasons"]:
            self.line("  " + reason)
