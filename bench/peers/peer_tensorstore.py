# SPDX-License-Identifier: MIT
"""TensorStore's zarr driver over a directory on tmpfs, without compression and without a cache.

One array is kept by the file driver.  Several that change together are kept in one OCDBT database
on it: a transaction over several files is refused as not atomic by the file driver, and is atomic
in OCDBT (https://google.github.io/tensorstore/python/api/tensorstore.Transaction.html).  Reads in a
transaction are not isolated "in general" (tensorstore.TransactionMode), but every batch of writes
makes a version of the database (https://google.github.io/tensorstore/kvstore/ocdbt/index.html),
so a snapshot opens all arrays at the newest version.  OCDBT keeps all versions.
"""

import importlib.metadata
import os

import peer


class TensorStore:
    name = "tensorstore"
    unable = {"wait": "TensorStore has no way to wait for a change of an array"}

    def __init__(self, directory, cell, lock):
        if lock:
            raise SystemExit("TensorStore is run without a lock")
        self.path = os.path.join(directory, "database") + "/"
        self.cell = cell
        self.in_ocdbt = cell.arrays > 1

    def version(self):
        return "TensorStore " + importlib.metadata.version("tensorstore")

    def note(self, cell):
        if cell.workload == "append":
            return "the new shape is visible before the data"
        return "in an OCDBT database" if self.in_ocdbt else None

    def prepare(self):
        import tensorstore

        self.tensorstore = tensorstore

    def _context(self):
        # Each process is pinned to one processor: more threads would only be in the way.
        return self.tensorstore.Context(
            {
                "data_copy_concurrency": {"limit": 1},
                "file_io_concurrency": {"limit": 1},
                "cache_pool": {"total_bytes_limit": 0},
            }
        )

    def _file(self, path):
        return {"driver": "file", "path": path}

    def _open(self, number, version=None, **how):
        """A future."""
        keys = self._file("%s%d/" % (self.path, number))
        if self.in_ocdbt:
            keys = {"driver": "ocdbt", "base": self._file(self.path), "path": "%d/" % number}
            keys = {**keys, "version": version} if version else keys
        how = {"driver": "zarr", "kvstore": keys, **how}
        return self.tensorstore.open(how, context=self.context)

    def _create(self, number, words):
        metadata = {
            "shape": [words],
            "chunks": [self.cell.chunk_words],
            "dtype": "<u8",
            "compressor": None,
        }
        how = {"create": True, "delete_existing": True, "metadata": metadata}
        return self._open(number, **how).result()

    def writer_open(self):
        self.context = self._context()
        self.arrays = [self._create(k, self.cell.words) for k in range(self.cell.arrays)]

    def write(self, arrays):
        if not self.in_ocdbt:
            self.arrays[0].write(arrays[0]).result()
            return
        transaction = self.tensorstore.Transaction(atomic=True)
        # A write whose future nobody keeps is cancelled.
        writes = [
            self.arrays[number].with_transaction(transaction).write(data)
            for number, data in arrays.items()
        ]
        for write in writes:
            write.copy.result()
        transaction.commit_async().result()

    def write_chunk(self, index, data):
        first = index * len(data)
        self.arrays[0][first : first + len(data)].write(data).result()

    def append_begin(self):
        self.arrays = [self._create(0, 0)]

    def append(self, data):
        first = self.arrays[0].shape[0]
        end = first + len(data)
        self.arrays[0] = self.arrays[0].resize(exclusive_max=[end], expand_only=True).result()
        self.arrays[0][first:end].write(data).result()

    def reader_open(self):
        self.context = self._context()
        if self.in_ocdbt:
            self.base = self.tensorstore.KvStore.open(self._file(self.path)).result()
        else:
            self.array = self._open(0, open=True).result()

    def read(self):
        return self.array.read().result()

    def snapshot(self):
        manifest = self.tensorstore.ocdbt.dump(self.base).result()
        newest = manifest["versions"][-1]["generation_number"]
        opened = [self._open(k, newest, open=True) for k in range(self.cell.arrays)]
        reads = [array.result().read() for array in opened]
        return [read.result() for read in reads]


if __name__ == "__main__":
    peer.main(TensorStore)
