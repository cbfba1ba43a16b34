# SPDX-License-Identifier: MIT
"""What a way of sharing a growing array is, for cell.py.

A Way is made and prepared in a process that then forks; until then it may only name paths.  All it
makes lies in self.directory.
"""

import os
import shutil
import tempfile


class Gone(RuntimeError):
    """The round that was to be read is not kept any more."""


class Way:
    name = None  # as on the command line and in the results
    title = None  # in tables
    how = None  # a sentence for the report
    source = None  # where its makers say that it is to be used like this

    @staticmethod
    def version():
        """Of the libraries; raises ImportError if they are not there."""
        raise NotImplementedError

    def __init__(self, parent):
        self.parent = parent
        self.directory = None

    def prepare(self, readers):
        self.directory = tempfile.mkdtemp(prefix=self.name + "-", dir=self.parent)

    def clean(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    # In the producer's process:

    def producer_open(self):
        pass

    def begin_round(self, number):
        """Make an empty array, of which nobody is told before something is appended."""
        raise NotImplementedError

    def append(self, data, board):
        """Whole batches; returns when they can be read.  Gives up from board.STOP on."""
        raise NotImplementedError

    def prefilled(self):
        """Called once, after the first append."""

    def producer_close(self):
        pass

    # In a reader's process:

    def reader_open(self, i):
        pass

    def read(self, number):
        """The whole array, of round `number` or whichever is the newest, if it knows better.

        Raises Gone if there is a newer round and this one was removed: it is tried again with that,
        as a part of the same read.
        """
        raise NotImplementedError

    def reader_close(self):
        pass
