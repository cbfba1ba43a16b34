# SPDX-License-Identifier: MIT
"""What the producer writes.

A batch is BATCH elements, each of which is the batch's number.  BATCH is no multiple of CHUNK, so
that every append spans chunks, and every other one begins in a chunk that is there already.  An
array has BATCHES batches, then the next round begins with a new array.  Rounds begin at 1, and so
do batches at BATCHES: 0 is the fill value, and no batch.
"""

CHUNK = 100  # elements, as asked for
BATCH = 250
BATCHES = 40  # of a round: 10,000 elements in 100 chunks


def first_of(number):
    """The first batch of a round."""
    return number * BATCHES
