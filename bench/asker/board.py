# SPDX-License-Identifier: MIT
"""What the processes of one cell tell each other: words in memory that all of them map.

The producer notes for each batch when it was finished, in a ring of times, and then the number of
the newest one.  The order of the two stores is kept by the processor; each is one word.
"""

import mmap
import time

# After STOP the producer appends no more, but what it made stays until END: a read may go on.
SETUP, WARM, MEASURE, STOP, END = range(5)
_PHASE, _ROUND, _DONE, _READY = range(4)
_HEAD = 512  # words
_RING = 1 << 20  # times: of the last seconds, also at hundreds of thousands a second


class Board:
    def __init__(self):
        self._memory = mmap.mmap(-1, 8 * (_HEAD + _RING))
        self._words = memoryview(self._memory).cast("Q")

    @property
    def phase(self):
        return self._words[_PHASE]

    @phase.setter
    def phase(self, value):
        self._words[_PHASE] = value

    @property
    def round(self):
        """The round whose array is growing; it has at least one batch."""
        return self._words[_ROUND]

    @round.setter
    def round(self, value):
        self._words[_ROUND] = value

    @property
    def done(self):
        """The newest finished batch."""
        return self._words[_DONE]

    def note(self, batch):
        """`batch` is finished now."""
        self._words[_HEAD + batch % _RING] = time.monotonic_ns()
        self._words[_DONE] = batch

    def age(self, batch, now, done):
        """Nanoseconds from when `batch` was finished to `now`; `done` was the newest then.

        None if that is not known any more.  0 if the producer has not come to noting it.
        """
        if batch > done:
            return 0
        if done - batch >= _RING // 2:
            return None
        return max(0, now - self._words[_HEAD + batch % _RING])

    def set_ready(self, process):
        self._words[_READY + process] = 1

    def is_ready(self, process):
        return self._words[_READY + process] == 1
