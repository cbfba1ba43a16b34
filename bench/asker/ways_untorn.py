# SPDX-License-Identifier: MIT
"""Untorn: an append and a commit per batch; and zarr-python on the store that it flushes to.

Each round is an array round-N/position.  The segment has the default size, which is fixed, so that
the producer deletes arrays when they are some rounds old; other ways leave theirs until the cell
ends.  All other options are the defaults, too.
"""

import json
import os

import scenario
from way import Gone, Way
from ways_zarr import Zarr3

_KEPT = 16  # rounds
_FLUSH_INTERVAL = 100_000_000  # ns


class Untorn(Way):
    name, title = "untorn", "Untorn"
    how = (
        "untorn_append() and untorn_commit() per batch; the reader keeps its handle, which sees "
        "the array grow, and calls untorn_read() into a new NumPy array; through ctypes"
    )
    source = "include/untorn.h, docs/guide.md"
    store = False

    @staticmethod
    def version():
        import segments

        return "untorn " + segments.version()

    def prepare(self, readers):
        super().prepare(readers)
        # Unlike any other, and told by its prefix to who cleans up after a kill.
        self.segment = os.path.basename(self.parent) + "-" + os.path.basename(self.directory)

    def clean(self):
        import segments

        if self.segment in segments.segments():
            segments.remove(self.segment)
        super().clean()

    @staticmethod
    def _array_name(number):
        return "round-%d/position" % number

    def producer_open(self):
        import untorn_calls

        if self.store:
            store = self.path("store")
            self.writer = untorn_calls.Writer(self.segment, store, interval=_FLUSH_INTERVAL)
        else:
            self.writer = untorn_calls.Writer(self.segment)

    def begin_round(self, number):
        self.array = self.writer.define(self._array_name(number), "f8", 0, scenario.CHUNK)
        if number > _KEPT:
            self.writer.delete(self._array_name(number - _KEPT))
        if self.store:
            self.writer.set_group_attributes("", json.dumps({"round": number}))

    def append(self, data, board):
        self.writer.append(self.array, data)
        self.writer.commit()

    def producer_close(self):
        self.writer.close()

    def reader_open(self, i):
        self.reader, self.number = None, 0

    def _open(self, number):
        import untorn_calls

        if self.reader is None:
            self.reader = untorn_calls.Reader(self.segment, self._array_name(number))
        elif number != self.number:
            self.number = 0
            self.reader.open(self._array_name(number))
        self.number = number

    def read(self, number):
        import untorn_calls

        try:
            self._open(number)
            return self._read_whole()
        except untorn_calls.Error as error:
            if error.status in (untorn_calls.NO_ARRAY, untorn_calls.ARRAY_DELETED):
                raise Gone from error
            raise

    def _read_whole(self):
        import numpy

        room = scenario.BATCHES * scenario.BATCH
        while True:
            data = numpy.empty(room)
            length = self.reader.read_whole(data)
            if length <= room:
                return data[:length]
            room = 2 * length

    def reader_close(self):
        self.reader.close()
        self.reader = None


class UntornAnew(Untorn):
    name, title = "untorn-anew", "Untorn, opened anew"
    how = (
        "the same, but each read attaches to the segment, opens the array, reads and closes, which "
        "is not needed"
    )

    def read(self, number):
        try:
            return super().read(number)
        finally:
            if self.reader:
                self.reader_close()

    def reader_close(self):
        if self.reader:
            super().reader_close()


class UntornStore(Untorn):
    name, title = "untorn-store", "zarr 3 on Untorn's store"
    how = (
        "the same producer, flushing to a store every %d ms; the reader is zarr-python 3, which "
        "opens the group at realpath(STORE/latest) anew for each read and knows nothing of Untorn; "
        "the group's attributes, of the same commit, say which round is the newest"
        % (_FLUSH_INTERVAL // 1_000_000)
    )
    source = "docs/store.md"
    store = True

    @staticmethod
    def version():
        return "%s, %s" % (Untorn.version(), Zarr3.version())

    def prefilled(self):
        self.writer.flush()

    def reader_open(self, i):
        pass

    def read(self, number):
        import zarr

        group = zarr.open_group(os.path.realpath(self.path("store/latest")), mode="r")
        return group[self._array_name(group.attrs["round"])][:]

    def reader_close(self):
        pass
