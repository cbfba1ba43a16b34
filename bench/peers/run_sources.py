# SPDX-License-Identifier: MIT
"""How each peer is used, and where its makers say so: a section of the report.

Nothing is tuned for a peer beyond that.  The order is that of the tables.
"""

import run_figures as figures

LMDB = "http://www.lmdb.tech/doc/group__mdb__env.html"
SWMR = "https://support.hdfgroup.org/documentation/hdf5/latest/_s_w_m_r.html"
ICEORYX = "https://github.com/eclipse-iceoryx/iceoryx/tree/v2.0.3/iceoryx_examples"
REDIS = "https://redis.io/docs/latest/commands/mset/"
SOCKET = "https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/benchmarks/"
ZARR2 = "https://zarr.readthedocs.io/en/v2.18.5/tutorial.html"
ZARR3 = "https://zarr.readthedocs.io/en/stable/user-guide/arrays/"
LOCK = "https://fasteners.readthedocs.io/en/latest/guide/inter_process/"
CONTEXT = "https://google.github.io/tensorstore/context.html"
OCDBT = "https://google.github.io/tensorstore/kvstore/ocdbt/index.html"
ICECHUNK = "https://icechunk.io/en/latest/understanding/concepts/"

HERE = "written here, as there is no package: bench/peers/peer_"
_ZARR = "a directory on tmpfs, without compression; the array stays open"
_LOCKED = "the same, and a fasteners.InterProcessReaderWriterLock around every read and write"
# What is done, and as in what.
SOURCES = {
    "untorn": (
        "chunks are filled in shared memory, a commit per round, one handle per array; the "
        "segment keeps 4 versions",
        "include/untorn.h, docs/guide.md",
    ),
    "memcpy": ("shared memory, rewritten in place and copied; no protocol", HERE + "memcpy.c"),
    "seqlock": (
        "one copy, one counter; an acquire fence after the reader's copy",
        HERE + "seqlock.c",
    ),
    "seqlock2": (
        "two copies, written in turn, each by the rules of a seqlock",
        HERE + "seqlock2.c",
    ),
    "rwlock": (
        "pthread_rwlock_t, process-shared, of the default kind, around arrays rewritten in place",
        "pthread_rwlockattr_setkind_np(3)",
    ),
    "futex": ("a word that readers sleep on, beside shared memory", "futex(2)"),
    "untorn-spin": (
        "as untorn; its readers never sleep: untorn_reader_options.spin",
        "include/untorn.h",
    ),
    "untorn-pin": (
        "as untorn; several arrays by a pinned snapshot in place of untorn_read_group()",
        "include/untorn.h",
    ),
    "memcpy-round": (
        "as memcpy, over as many copies as untorn's writer goes round",
        HERE + "memcpy.c",
    ),
    "lmdb": (
        "an array is a value, a round a transaction; MDB_WRITEMAP, MDB_NOSYNC, MDB_NOMETASYNC; "
        "filled in the map by MDB_RESERVE, appended by MDB_APPEND; read transactions renewed",
        "lmdb.h; " + LMDB,
    ),
    "iceoryx": (
        "C binding; a message per round, filled in the loaned chunk; history and queue of one; who "
        "waits does so by a WaitSet; RouDi without monitoring, with one pool of this size",
        "icedelivery_in_c and waitset_in_c in " + ICEORYX,
    ),
    "hdf5-swmr": (
        "newest file format; H5Dwrite and H5Dflush, after H5Dset_extent to append; H5Drefresh "
        "and H5Dread; the library's own cache",
        SWMR,
    ),
    "redis": (
        "a server of its own on a Unix socket, without persistence; SET, GET, SETRANGE, APPEND, "
        "MSET, MGET; who waits has the array as the message of a channel",
        "%s, %s" % (REDIS, SOCKET),
    ),
    "zarr-2": (_ZARR, ZARR2),
    "zarr-2-lock": (_LOCKED, LOCK),
    "zarr-3": (_ZARR, ZARR3),
    "zarr-3-lock": (_LOCKED, LOCK),
    "tensorstore": (
        "zarr driver on files of tmpfs, without compression and cache; one thread to copy and one "
        "for files, since a process has one processor; several arrays in a transaction on OCDBT",
        "%s, %s" % (CONTEXT, OCDBT),
    ),
    "icechunk": (
        "a local repository on tmpfs, without compression, other options as they come; a session "
        "and a commit per round, a read-only session on the branch per read",
        ICECHUNK,
    ),
}


def in_order(names):
    """As the tables have them; unknown ones last."""
    known = list(SOURCES)
    return sorted(names, key=lambda name: known.index(name) if name in known else len(known))


def section(results):
    rows = []
    for name in results.names:
        what, source = SOURCES.get(name, ("", ""))
        if name in results.absent:
            what = "cannot be run: " + results.absent[name]
        cells = [name, results.versions.get(name, ""), what, source]
        rows.append({"cells": cells, "values": {}, "peer": name})
    return {
        "id": "peers-used",
        "group": "The peers, and how they are used",
        "title": "How each peer is used, and where its makers say so",
        "notes": [
            "Arrays are of 64-bit unsigned integers. Those that keep chunks (untorn, HDF5, zarr, "
            "TensorStore, Icechunk) have chunks of 256 KiB, smaller arrays one chunk; the others "
            "keep an array whole, but LMDB has a value per chunk where chunks are committed. "
            "Appended arrays are begun anew at 64 MiB.",
            "The writer has one processor, all readers another; servers run where they like. "
            "Commits follow each other without a pause where nothing else is said.",
            figures.FEW_CALLS,
        ],
        "columns": ["peer", "version", "what is done", "as in"],
        "rows": rows,
        "goals": [],
    }
