# SPDX-License-Identifier: MIT
"""The producer's batches, and how a reader knows that it got whole ones (scenario.py)."""

import numpy

from scenario import BATCH, BATCHES

_STEPS = numpy.repeat(numpy.arange(BATCHES, dtype="f8"), BATCH)


def batches(first, count):
    """The elements of `count` batches."""
    return _STEPS[: count * BATCH] + first


def newest(data):
    """The newest batch in what was read; None: it is torn.

    It is whole if it is the first elements of a round, up to the end of a batch.
    """
    count, rest = divmod(len(data), BATCH)
    if rest or not 0 < count <= BATCHES or data[0] % BATCHES or data[0] < BATCHES:
        return None
    if not numpy.array_equal(data, _STEPS[: len(data)] + data[0]):
        return None
    return int(data[0]) + count - 1
