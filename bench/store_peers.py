# SPDX-License-Identifier: MIT
"""The same array, data and codec written by untorn, zarr-python 3 and TensorStore: time and size.

Each writer is a process of its own that holds its array open and writes all of it whenever it is
told to, so that they take turns.  untorn's time is that of writing, committing and flushing: until
it is in the store as a whole.  At the end zarr-python reads what each has left, and it must be
what was written.

Once with one thread each, once as each library comes (untorn with two).
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "support"))
import report  # noqa: E402

CHUNK = 1 << 18  # elements: 1 MiB of float32
PATIENCE = 5  # seconds for a writer to end
CODEC = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}


def make_data(chunks, turn):
    """A wave with noise, to a hundredth; another one each turn."""
    count = chunks * CHUNK
    noise = numpy.random.default_rng(turn).integers(0, 256, count) / 256
    wave = 280 + 15 * numpy.sin(numpy.arange(count) / 800 + turn)
    return (numpy.floor((wave + noise) * 100) / 100).astype("f4")


class Untorn:
    where = "store/latest/array"

    def __init__(self, directory, chunks, threads):
        import segments
        import untorn_calls

        self.version = "untorn " + segments.version()
        self.writer = untorn_calls.Writer(
            "bench-peers-%d" % os.getpid(),
            os.path.join(directory, "store"),
            6 * chunks * CHUNK * 4 + (64 << 20),
            threads or 2,
        )
        self.array = self.writer.define("array", "f4", chunks * CHUNK, CHUNK)

    def write(self, data):
        self.writer.write(self.array, data)
        self.writer.commit()
        self.writer.flush()

    def close(self):
        self.writer.close()


class Zarr:
    where = "array"

    def __init__(self, directory, chunks, threads):
        import numcodecs
        import zarr

        if threads:
            zarr.config.set({"async.concurrency": threads, "threading.max_workers": threads})
            numcodecs.blosc.set_nthreads(threads)
        self.version = "zarr-python " + zarr.__version__
        self.array = zarr.create_array(
            os.path.join(directory, "array"),
            shape=(chunks * CHUNK,),
            chunks=(CHUNK,),
            dtype="f4",
            zarr_format=2,
            compressors=numcodecs.get_codec(dict(CODEC)),
        )

    def write(self, data):
        self.array[:] = data

    def close(self):
        pass


class TensorStore:
    where = "array"

    def __init__(self, directory, chunks, threads):
        import importlib.metadata

        import tensorstore

        self.version = "TensorStore " + importlib.metadata.version("tensorstore")
        limit = {"limit": threads or "shared"}
        self.array = tensorstore.open(
            {
                "driver": "zarr",
                "kvstore": {"driver": "file", "path": os.path.join(directory, "array") + "/"},
                "context": {"data_copy_concurrency": limit, "file_io_concurrency": limit},
                "metadata": {
                    "shape": [chunks * CHUNK],
                    "chunks": [CHUNK],
                    "dtype": "<f4",
                    "compressor": CODEC,
                },
            },
            create=True,
        ).result()

    def write(self, data):
        self.array.write(data).result()

    def close(self):
        pass


WRITERS = {"untorn": Untorn, "zarr-python": Zarr, "TensorStore": TensorStore}


def child(name, directory, chunks, threads):
    """Write whenever a line comes, and answer with nanoseconds."""
    writer = WRITERS[name](directory, chunks, threads)
    try:
        print(json.dumps({"version": writer.version}), flush=True)
        data = [make_data(chunks, turn) for turn in range(2)]
        for line in sys.stdin:
            turn = int(line)
            start = time.monotonic_ns()
            writer.write(data[turn])
            print(time.monotonic_ns() - start, flush=True)
    finally:
        writer.close()


class Child:
    def __init__(self, name, parent, chunks, threads):
        self.name = name
        self.directory = os.path.join(parent, "%s-%d" % (name, threads))
        os.mkdir(self.directory)
        command = [sys.executable, __file__, "--child", name, self.directory]
        command += [str(chunks), str(threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.samples = []
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("%s does not start" % name)
        self.version = json.loads(line)["version"]

    def write(self, turn, counted):
        self.process.stdin.write("%d\n" % turn)
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("%s ended early" % self.name)
        if counted:
            self.samples.append(int(line))

    def end(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise RuntimeError("%s failed" % self.name)

    def stop(self):
        """Whatever has happened: what it writes to is removed then, and it must not go on."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def check(self, chunks, turn):
        """The bytes of its chunk files, after reading them with zarr-python."""
        import zarr

        path = os.path.realpath(os.path.join(self.directory, WRITERS[self.name].where))
        found = zarr.open_array(path, mode="r", zarr_format=2)
        if not numpy.array_equal(found[:], make_data(chunks, turn)):
            raise RuntimeError("%s: what is read is not what was written" % path)
        files = [name for name in os.listdir(path) if name.isdigit()]
        if len(files) != chunks:
            raise RuntimeError("%s: %d chunk files, not %d" % (path, len(files), chunks))
        return sum(os.path.getsize(os.path.join(path, name)) for name in files)


def compare(parent, where, threads, chunks, repetitions):
    directory, children = tempfile.mkdtemp(prefix="untorn-bench-", dir=parent), []
    try:
        for name in WRITERS:
            children.append(Child(name, directory, chunks, threads))
        for turn in range(-1, repetitions):
            for i in range(len(children)):
                children[(turn + 1 + i) % len(children)].write(turn % 2, turn >= 0)
        for one in children:
            one.end()
        sizes = [one.check(chunks, (repetitions - 1) % 2) for one in children]
    finally:
        for one in children:
            one.stop()
        shutil.rmtree(directory, ignore_errors=True)
    how = "one thread" if threads == 1 else "as it comes"
    for one in children:
        ratio = report.paired_ratio(children[0].samples, one.samples)
        report.row_time(
            "%s, %s, %s" % (one.version, where, how),
            one.samples,
            chunks * CHUNK * 4,
            None if one is children[0] else "untorn's time / this",
            None if one is children[0] else ratio,
        )
    return [one.version for one in children], sizes


def main():
    effort = float(os.environ.get("BENCH_EFFORT", "1"))
    chunks = max(8, int(64 * min(effort, 1)))
    repetitions = max(5, int(15 * effort))
    report.section("The same array in a store, by untorn, zarr-python and TensorStore")
    report.note(
        "%d MiB of float32 in chunks of 1 MiB, Zarr 2, Blosc with LZ4 and byte shuffle; on a disk "
        "untorn and TensorStore sync every file, zarr-python none; untorn's is all or nothing, the "
        "others' chunk by chunk" % (chunks * CHUNK * 4 >> 20)
    )
    for where, parent in (
        ("tmpfs", "/dev/shm"),
        ("disk", os.environ.get("BENCH_DISK", "/var/tmp")),
    ):
        for threads in (1, 0):
            versions, sizes = compare(parent, where, threads, chunks, repetitions)
    for version, size in zip(versions, sizes):
        share = 100 * size / (chunks * CHUNK * 4)
        report.row_text(version + ", size of the chunk files", "%.2f %% of the data" % share)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
