# SPDX-License-Identifier: MIT
"""What the peers do otherwise than Untorn, in words: said where one of them is the faster one.

No figures: those are in the tables.  A peer that is not here takes part in every table; only its
explanation is missing.
"""

BARE = ("memcpy", "memcpy-round", "futex")  # the bounds: they keep nobody from anything
OWN = "untorn"  # with what begins so: Untorn in another way of use

OTHERWISE = {
    "memcpy": (
        "plain memory, rewritten in place and copied without a look at the writer: the bound. It "
        "protects nothing, and has one copy of the data, which takes less of the caches than "
        "several versions do."
    ),
    "memcpy-round": (
        "plain memory again, the writer going round as many copies as Untorn's does: the bound "
        "where both move the same memory. It protects nothing."
    ),
    "futex": "a bare futex, the bound of whatever sleeps. It protects nothing.",
    "seqlock": (
        "one copy of the data, rewritten in place between two additions to a counter; nothing has "
        "to be found, and no space taken or given back. Readers begin again whenever anything "
        "has been written meanwhile, and starve under a writer that does not pause."
    ),
    "seqlock2": (
        "a seqlock over two copies of fixed size, written in turn. There are no names, chunks, "
        "growth or waking to pay for; a reader begins again when the writer was there twice."
    ),
    "rwlock": (
        "a lock in shared memory around one copy. Where nobody is on the other side it costs two "
        "atomic additions; else readers and the writer wait for each other."
    ),
    "lmdb": (
        "a copy-on-write tree in a mapped file. Its readers and its writer pass each other by, "
        "too; what it has freed it writes again soon, so that fewer copies take turns than "
        "Untorn's versions."
    ),
    "iceoryx": (
        "a message per commit, always whole and of fixed size: no array that stays, no parts, no "
        "growth. A chunk that nobody holds any longer is the next one to be filled."
    ),
    "hdf5-swmr": (
        "one copy in a file, rewritten in place; a data set that is read need not be of one write."
    ),
    "redis": "a server: each read and write is a message to a third process and its answer.",
    "queue": "batches are sent to each reader, and each keeps the whole array for itself.",
}


def is_own(peer):
    return peer == OWN or peer.startswith(OWN + "-")
