# SPDX-License-Identifier: MIT
"""zarr-python, whichever version is installed, over a directory on tmpfs, without compression.

Plain, and (--lock) with a lock between processes around every whole read and write: a
fasteners.InterProcessReaderWriterLock, which polls.
"""

import os

import peer


class Zarr:
    def __init__(self, directory, size, lock):
        self.path = os.path.join(directory, "array")
        self.size = size
        self.lock_path = os.path.join(directory, "lock") if lock else None
        self.lock = None

    def version(self):
        import zarr

        return "zarr-python " + zarr.__version__

    @property
    def name(self):
        return "zarr-%s%s" % (self.version().split()[1][0], "-lock" if self.lock_path else "")

    def _open_lock(self):
        if self.lock_path:
            import fasteners

            self.lock = fasteners.InterProcessReaderWriterLock(self.lock_path)

    def writer_open(self):
        import zarr

        shape, chunks = (self.size // 8,), (peer.elements_per_chunk(self.size),)
        if zarr.__version__.startswith("2"):
            self.array = zarr.open_array(
                self.path, mode="w", shape=shape, chunks=chunks, dtype="u8", compressor=None
            )
        else:
            self.array = zarr.create_array(
                self.path, shape=shape, chunks=chunks, dtype="u8", compressors=None
            )
        self._open_lock()

    def write(self, data):
        if self.lock:
            with self.lock.write_lock():
                self.array[:] = data
        else:
            self.array[:] = data

    def reader_open(self):
        import zarr

        self.array = zarr.open_array(self.path, mode="r")
        self._open_lock()

    def read(self):
        if self.lock:
            with self.lock.read_lock():
                return self.array[:]
        return self.array[:]


if __name__ == "__main__":
    peer.main(Zarr)
