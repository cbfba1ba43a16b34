# SPDX-License-Identifier: MIT
"""zarr-python, whichever version is installed, over a directory on tmpfs, without compression.

Plain, and (--lock) with a lock between processes around every whole read and write: a
fasteners.InterProcessReaderWriterLock, which polls.  Plain, what takes several steps is visible
step by step: arrays of one round are written and read one after the other, and an append changes
the shape first.
"""

import importlib.metadata
import os
from contextlib import nullcontext

import peer


class Zarr:
    unable = {"wait": "zarr-python has no way to wait for a change of an array"}

    def __init__(self, directory, cell, lock):
        self.path = os.path.join(directory, "group")
        self.cell = cell
        self.lock_path = os.path.join(directory, "lock") if lock else None
        self.lock = None

    def version(self):
        return "zarr-python " + importlib.metadata.version("zarr")

    @property
    def is_2(self):
        return importlib.metadata.version("zarr").startswith("2")

    @property
    def name(self):
        return "zarr-%s%s" % ("2" if self.is_2 else "3", "-lock" if self.lock_path else "")

    def note(self, cell):
        if self.lock_path or (cell.workload == "commit" and cell.arrays == 1):
            return None
        if cell.workload in ("commit", "snapshot"):
            return "one array after the other, without a transaction"
        return None

    def prepare(self):
        import fasteners
        import zarr

        self.zarr = zarr
        if self.lock_path:
            self.lock = fasteners.InterProcessReaderWriterLock(self.lock_path)

    def _writing(self):
        return self.lock.write_lock() if self.lock else nullcontext()

    def _reading(self):
        return self.lock.read_lock() if self.lock else nullcontext()

    def _create(self, number, words):
        how = {"shape": (words,), "chunks": (self.cell.chunk_words,), "dtype": "u8"}
        if self.is_2:
            return self.group.create(str(number), compressor=None, overwrite=True, **how)
        return self.group.create_array(str(number), compressors=None, overwrite=True, **how)

    def writer_open(self):
        self.group = self.zarr.open_group(self.path, mode="w")
        self.arrays = [self._create(k, self.cell.words) for k in range(self.cell.arrays)]

    def write(self, arrays):
        with self._writing():
            for number, data in arrays.items():
                self.arrays[number][:] = data

    def write_chunk(self, index, data):
        first = index * len(data)
        with self._writing():
            self.arrays[0][first : first + len(data)] = data

    def append_begin(self):
        self.arrays = [self._create(0, 0)]

    def append(self, data):
        with self._writing():
            self.arrays[0].append(data)

    def reader_open(self):
        group = self.zarr.open_group(self.path, mode="r")
        self.read_from = [group[str(k)] for k in range(self.cell.arrays)]

    def read(self):
        with self._reading():
            return self.read_from[0][:]

    def snapshot(self):
        with self._reading():
            return [array[:] for array in self.read_from]


if __name__ == "__main__":
    peer.main(Zarr)
