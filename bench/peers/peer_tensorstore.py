# SPDX-License-Identifier: MIT
"""TensorStore's zarr driver over a directory on tmpfs, without compression and without a cache."""

import os

import peer


class TensorStore:
    name = "tensorstore"

    def __init__(self, directory, size, lock):
        if lock:
            raise SystemExit("TensorStore is run without a lock")
        self.path = os.path.join(directory, "array") + "/"
        self.size = size

    def version(self):
        import importlib.metadata

        return "TensorStore " + importlib.metadata.version("tensorstore")

    def _open(self, **how):
        import tensorstore

        # One process each is pinned to one processor: more threads would only be in the way.
        specification = {
            "driver": "zarr",
            "kvstore": {"driver": "file", "path": self.path},
            "context": {
                "data_copy_concurrency": {"limit": 1},
                "file_io_concurrency": {"limit": 1},
                "cache_pool": {"total_bytes_limit": 0},
            },
            **how,
        }
        return tensorstore.open(specification).result()

    def writer_open(self):
        self.array = self._open(
            create=True,
            metadata={
                "shape": [self.size // 8],
                "chunks": [peer.elements_per_chunk(self.size)],
                "dtype": "<u8",
                "compressor": None,
            },
        )

    def write(self, data):
        self.array.write(data).result()

    def reader_open(self):
        self.array = self._open(open=True)

    def read(self):
        return self.array.read().result()


if __name__ == "__main__":
    peer.main(TensorStore)
