# SPDX-License-Identifier: MIT
"""A queue between the producer and each reader: nothing is shared, everyone keeps a copy.

A message is a batch.  Bounded: a producer that is faster than a reader would otherwise fill the
memory, so that it waits for the slowest reader instead.
"""

import multiprocessing
import queue

import scenario
from board import STOP
from way import Way

_BOUND = 1000  # batches
_TAKE = scenario.BATCHES  # at most, for one read: a producer may be as fast as a reader


class Queue(Way):
    name, title = "queue", "queues"
    how = (
        "multiprocessing.Queue, one per reader, of at most %d batches: the producer sends each "
        "batch to each, and waits where one is full; a read takes what has come, up to %d "
        "batches, and returns the reader's own copy, uncopied; who comes late has missed what was "
        "sent, and who ends must be taken off the producer's list" % (_BOUND, _TAKE)
    )
    source = "https://docs.python.org/3/library/multiprocessing.html#pipes-and-queues"

    @staticmethod
    def version():
        import platform

        return "Python " + platform.python_version()

    def prepare(self, readers):
        super().prepare(readers)
        self.queues = [multiprocessing.Queue(_BOUND) for _ in range(readers)]

    def clean(self):
        for one in self.queues:
            one.close()
        super().clean()

    def begin_round(self, number):
        pass

    def append(self, data, board):
        for one in self.queues:
            while board.phase < STOP:
                try:
                    one.put(data, timeout=0.05)
                    break
                except queue.Full:
                    pass

    def reader_open(self, i):
        import numpy

        self.queue = self.queues[i]
        self.data, self.length = numpy.empty(scenario.BATCHES * scenario.BATCH), 0
        self._keep(self.queue.get())

    def _keep(self, batch):
        if batch[0] % scenario.BATCHES == 0:
            self.length = 0
        self.data[self.length : self.length + len(batch)] = batch
        self.length += len(batch)

    def read(self, number):
        try:
            for _ in range(_TAKE):
                self._keep(self.queue.get_nowait())
        except queue.Empty:
            pass
        return self.data[: self.length]
