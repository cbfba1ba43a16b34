# SPDX-License-Identifier: MIT
"""Icechunk over a directory on tmpfs: a commit per write, and a session on the branch per read.

Sessions are Icechunk's transactions: what one writes is visible from its commit on, and a read-only
session stays at the snapshot that the branch was at when it was opened
(https://icechunk.io/en/latest/understanding/concepts/).  Every commit is kept, so the directory
grows as long as the writer runs.
"""

import importlib.metadata
import os

import peer


class Icechunk:
    name = "icechunk"
    unable = {"wait": "Icechunk has no way to wait for a commit"}

    def __init__(self, directory, cell, lock):
        if lock:
            raise SystemExit("Icechunk is run without a lock")
        self.path = os.path.join(directory, "repository")
        self.cell = cell

    def version(self):
        package = importlib.metadata.version
        return "Icechunk %s, zarr-python %s" % (package("icechunk"), package("zarr"))

    def prepare(self):
        # It warns at each opening that a directory is not safe for several writers; there is one.
        os.environ.setdefault("ICECHUNK_LOG", "error")
        import icechunk
        import zarr

        self.icechunk, self.zarr = icechunk, zarr

    def _storage(self):
        return self.icechunk.local_filesystem_storage(self.path)

    def _create(self, store, number, words):
        self.zarr.create_array(
            store,
            name=str(number),
            shape=(words,),
            chunks=(self.cell.chunk_words,),
            dtype="u8",
            compressors=None,
            overwrite=True,
        )

    def writer_open(self):
        self.writer = self.icechunk.Repository.create(self._storage())
        session = self.writer.writable_session("main")
        for k in range(self.cell.arrays):
            self._create(session.store, k, self.cell.words)
        session.commit("made")

    def _change(self, change):
        session = self.writer.writable_session("main")
        change(session.store)
        session.commit("changed")

    def _open(self, store, number, mode):
        return self.zarr.open_array(store, path=str(number), mode=mode)

    def write(self, arrays):
        def change(store):
            for number, data in arrays.items():
                self._open(store, number, "r+")[:] = data

        self._change(change)

    def write_chunk(self, index, data):
        first = index * len(data)

        def change(store):
            self._open(store, 0, "r+")[first : first + len(data)] = data

        self._change(change)

    def append_begin(self):
        self._change(lambda store: self._create(store, 0, 0))

    def append(self, data):
        self._change(lambda store: self._open(store, 0, "r+").append(data))

    def reader_open(self):
        self.repository = self.icechunk.Repository.open(self._storage())

    def read(self):
        session = self.repository.readonly_session("main")
        return self._open(session.store, 0, "r")[:]

    def snapshot(self):
        store = self.repository.readonly_session("main").store
        return [self._open(store, k, "r")[:] for k in range(self.cell.arrays)]


if __name__ == "__main__":
    peer.main(Icechunk)
