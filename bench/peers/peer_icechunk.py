# SPDX-License-Identifier: MIT
"""Icechunk over a directory on tmpfs: a commit per write, and a session on the branch per read.

Every commit is kept, so the directory grows as long as the writer runs.
"""

import os

import peer


class Icechunk:
    name = "icechunk"

    def __init__(self, directory, size, lock):
        if lock:
            raise SystemExit("Icechunk is run without a lock")
        self.path = os.path.join(directory, "repository")
        self.size = size

    def version(self):
        import icechunk
        import zarr

        return "Icechunk %s, zarr-python %s" % (icechunk.__version__, zarr.__version__)

    def _storage(self):
        import icechunk

        return icechunk.local_filesystem_storage(self.path)

    def writer_open(self):
        import icechunk
        import zarr

        self.repository = icechunk.Repository.create(self._storage())
        session = self.repository.writable_session("main")
        zarr.create_array(
            session.store,
            name="array",
            shape=(self.size // 8,),
            chunks=(peer.elements_per_chunk(self.size),),
            dtype="u8",
            compressors=None,
        )
        session.commit("made")

    def write(self, data):
        import zarr

        session = self.repository.writable_session("main")
        zarr.open_array(session.store, path="array", mode="r+")[:] = data
        session.commit("written")

    def reader_open(self):
        import icechunk

        self.repository = icechunk.Repository.open(self._storage())

    def read(self):
        import zarr

        session = self.repository.readonly_session("main")
        return zarr.open_array(session.store, path="array", mode="r")[:]


if __name__ == "__main__":
    peer.main(Icechunk)
