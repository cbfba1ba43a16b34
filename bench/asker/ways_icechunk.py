# SPDX-License-Identifier: MIT
"""Icechunk on a directory: a session and a commit per append, a session on the branch per read.

Every commit is kept, so the directory grows as long as the producer runs.
"""

import scenario
from way import Way


class Icechunk(Way):
    name, title = "icechunk", "Icechunk"
    how = (
        "a writable session, an append and a commit per batch; a read-only session on main, the "
        "group and the array opened anew per read; the repository stays open; its local storage is "
        "not for several writers at once, of which there is one here"
    )
    source = "https://icechunk.io/en/latest/quickstart/"

    @staticmethod
    def version():
        import icechunk
        import zarr

        return "Icechunk %s, zarr-python %s" % (icechunk.__version__, zarr.__version__)

    def _storage(self):
        import icechunk

        return icechunk.local_filesystem_storage(self.path("repository"))

    @staticmethod
    def _group(session, number, mode):
        import zarr

        return zarr.open_group(session.store, path="round-%d" % number, mode=mode)

    def producer_open(self):
        import icechunk

        self.repository = icechunk.Repository.create(self._storage())

    def begin_round(self, number):
        self.number = number
        session = self.repository.writable_session("main")
        self._group(session, number, "w").create_array(
            "position", shape=(0,), chunks=(scenario.CHUNK,), dtype="f8", compressors=None
        )
        session.commit("made")

    def append(self, data, board):
        session = self.repository.writable_session("main")
        self._group(session, self.number, "r+")["position"].append(data)
        session.commit("appended")

    def reader_open(self, i):
        import icechunk

        self.repository = icechunk.Repository.open(self._storage())

    def read(self, number):
        session = self.repository.readonly_session("main")
        return self._group(session, number, "r")["position"][:]
