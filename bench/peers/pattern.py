# SPDX-License-Identifier: MIT
"""Data that tells on itself: word i of round r is (r << 32) + i, as in support/pattern.h.

One word of another round, or at another place, is seen.  The round is in the upper half, so that
an array may have 2^32 words, and one that was never written is of no round.
"""

import numpy

BITS = 32  # of a word that say its place
PLACE = (1 << BITS) - 1


class Pattern:
    def __init__(self, words):
        self.places = numpy.arange(words, dtype="u8")
        self.scratch = numpy.empty(words, dtype="u8")

    def fill(self, round_, first=0, count=None):
        """The words from `first` on, valid until the next call of this or of check()."""
        count = len(self.places) - first if count is None else count
        to = self.scratch[:count]
        return numpy.add(self.places[first : first + count], numpy.uint64(round_ << BITS), out=to)

    def check(self, data, first=0):
        """The round that all of `data` is of, or 0."""
        word = int(data[0])
        round_ = word >> BITS
        if round_ == 0 or word & PLACE != first:
            return 0
        return round_ if numpy.array_equal(data, self.fill(round_, first, len(data))) else 0


def round_of(data):
    return int(data[0]) >> BITS


def expected_round(newest, k, arrays):
    """That of array k in a snapshot whose array 0 is of round `newest`; peer.h says which."""
    return newest - (newest - k) % arrays if k else newest
