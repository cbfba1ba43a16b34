# SPDX-License-Identifier: MIT
"""zarr-python on a directory: plain, and with the locks that are suggested for it.

Each round is a group with the one array `position`.  The producer keeps its array open and
appends.  A reader opens the group and the array anew for each read, since an open array keeps the
shape that it met, and reads all of it.  Nothing is compressed.
"""

import contextlib

import scenario
from way import Way


class Zarr3(Way):
    name, title = "zarr-3", "zarr 3"
    how = "zarr-python 3, LocalStore, no lock"
    source = "https://zarr.readthedocs.io/en/stable/user-guide/arrays/ (Resizing and appending)"

    @staticmethod
    def version():
        import zarr

        if not zarr.__version__.startswith("3"):
            raise ImportError("zarr-python %s is not version 3" % zarr.__version__)
        return "zarr-python " + zarr.__version__

    def open_lock(self):
        """Called in each process before anything is read or written."""

    def reading(self):
        return contextlib.nullcontext()

    def writing(self):
        return contextlib.nullcontext()

    def group(self, number, mode):
        import zarr

        return zarr.open_group(self.path("round-%d" % number), mode=mode)

    def make(self, group):
        return group.create_array(
            "position", shape=(0,), chunks=(scenario.CHUNK,), dtype="f8", compressors=None
        )

    def producer_open(self):
        self.open_lock()

    def begin_round(self, number):
        self.array = self.make(self.group(number, "w"))

    def append(self, data, board):
        with self.writing():
            self.array.append(data)

    def reader_open(self, i):
        self.open_lock()

    def read(self, number):
        with self.reading():
            return self.group(number, "r")["position"][:]


class Zarr3StoreLock(Zarr3):
    name, title = "zarr-3-lock", "zarr 3, one store lock"
    how = (
        "fasteners.InterProcessLock, one for the store, around every append and every read, "
        "opening included; it polls with growing pauses, as it comes"
    )
    source = "https://fasteners.readthedocs.io/en/latest/guide/inter_process/"

    @staticmethod
    def version():
        import fasteners

        return "%s, fasteners %s" % (Zarr3.version(), fasteners.__version__)

    def open_lock(self):
        import fasteners

        self.lock = fasteners.InterProcessLock(self.path("lock"))

    def reading(self):
        return self.lock

    def writing(self):
        return self.lock


class Zarr3ReadersWriterLock(Zarr3StoreLock):
    name, title = "zarr-3-rwlock", "zarr 3, readers-writer lock"
    how = (
        "fasteners.InterProcessReaderWriterLock, one for the store, around every append and every "
        "read, opening included; it polls, as it comes"
    )

    def open_lock(self):
        import fasteners

        self.lock = fasteners.InterProcessReaderWriterLock(self.path("lock"))

    def reading(self):
        return self.lock.read_lock()

    def writing(self):
        return self.lock.write_lock()


class Zarr2(Zarr3):
    name, title = "zarr-2", "zarr 2"
    how = "zarr-python 2, DirectoryStore, no lock"
    source = "https://zarr.readthedocs.io/en/v2.18.5/tutorial.html (Resizing and appending)"

    @staticmethod
    def version():
        import zarr

        if not zarr.__version__.startswith("2"):
            raise ImportError("zarr-python %s is not version 2" % zarr.__version__)
        return "zarr-python " + zarr.__version__

    def make(self, group):
        return group.create_dataset(
            "position", shape=(0,), chunks=(scenario.CHUNK,), dtype="f8", compressor=None
        )


class Zarr2ChunkLocks(Zarr2):
    name, title = "zarr-2-chunk-locks", "zarr 2, locks keyed by chunk"
    how = (
        "zarr.ProcessSynchronizer, given to the producer and the readers: file locks, one per "
        "chunk for writing it and one per array for its metadata, which an append holds until its "
        "end and an opening takes; zarr-python 3 has none"
    )
    source = (
        "https://zarr.readthedocs.io/en/v2.18.5/tutorial.html "
        "(Parallel computing and synchronization)"
    )

    @staticmethod
    def version():
        import fasteners

        return "%s, fasteners %s" % (Zarr2.version(), fasteners.__version__)

    def group(self, number, mode):
        import zarr

        locks = zarr.ProcessSynchronizer(self.path("round-%d.sync" % number))
        return zarr.open_group(self.path("round-%d" % number), mode=mode, synchronizer=locks)
