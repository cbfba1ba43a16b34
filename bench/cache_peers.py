# SPDX-License-Identifier: MIT
"""Reading the same chunk files through untorn's segment, by zarr-python 3 and by TensorStore.

A segment that was made from a store has all of its chunks in the store alone, so that every read
goes through to the files; zarr-python and TensorStore open the store snapshot itself and read these
files, too.  Nobody has a cache of its own, and the files are in the kernel's memory.  untorn and
it alone checks the files' hashes.

Each reader is a process of its own that holds its array open and reads whenever it is told to, so
that they take turns.  Each read allocates what it returns, which is compared with what was written,
outside the time.  Once with one thread each, once as each library comes.
"""

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

ITEMSIZE = 4


def make_data(count):
    """A wave with noise, to a hundredth."""
    noise = numpy.random.default_rng(1).integers(0, 256, count) / 256
    wave = 280 + 15 * numpy.sin(numpy.arange(count) / 800)
    return (numpy.floor((wave + noise) * 100) / 100).astype("f4")


class Untorn:
    def __init__(self, segment, path, threads):
        import segments
        import untorn_calls

        self.version = "untorn " + segments.version()
        self.reader = untorn_calls.Reader(segment, "array", threads)

    def read(self, start, count):
        data = numpy.empty(count, "f4")
        self.reader.read(start, data)
        return data


class Zarr:
    def __init__(self, segment, path, threads):
        import numcodecs
        import zarr

        if threads:
            zarr.config.set({"async.concurrency": threads, "threading.max_workers": threads})
            numcodecs.blosc.set_nthreads(threads)
        self.version = "zarr-python " + zarr.__version__
        self.array = zarr.open_array(path, mode="r", zarr_format=2)

    def read(self, start, count):
        return self.array[start : start + count]


class TensorStore:
    def __init__(self, segment, path, threads):
        import importlib.metadata

        import tensorstore

        self.version = "TensorStore " + importlib.metadata.version("tensorstore")
        limit = {"limit": threads or "shared"}
        self.array = tensorstore.open(
            {
                "driver": "zarr",
                "kvstore": {"driver": "file", "path": path + "/"},
                "context": {"data_copy_concurrency": limit, "file_io_concurrency": limit},
            },
            open=True,
            read=True,
        ).result()

    def read(self, start, count):
        return self.array[start : start + count].read().result()


READERS = {"untorn": Untorn, "zarr-python": Zarr, "TensorStore": TensorStore}


def child(name, segment, path, data_path, threads):
    """Read what each line says, a list of [start, count], and answer with nanoseconds per read."""
    reader = READERS[name](segment, path, threads)
    data = numpy.load(data_path)
    print(json.dumps({"version": reader.version}), flush=True)
    for line in sys.stdin:
        spent = 0
        wanted = json.loads(line)
        for start, count in wanted:
            begin = time.monotonic_ns()
            found = reader.read(start, count)
            spent += time.monotonic_ns() - begin
            if not numpy.array_equal(found, data[start : start + count]):
                raise RuntimeError("%s: what is read is not what was written" % name)
            del found
        print(spent / len(wanted), flush=True)


class Child:
    def __init__(self, name, world, threads):
        self.name = name
        command = [sys.executable, __file__, "--child", name, world.segment, world.path]
        command += [world.data_path, str(threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.version = json.loads(self._answer())["version"]

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("%s ended early" % self.name)
        return line

    def read(self, wanted):
        self.process.stdin.write(json.dumps(wanted) + "\n")
        self.process.stdin.flush()
        return float(self._answer())

    def end(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise RuntimeError("%s failed" % self.name)


class World:
    """A store, and a segment none of whose chunks are in memory."""

    def __init__(self, count, chunk):
        import untorn_calls

        self.count, self.chunk = count, chunk
        self.directory = tempfile.mkdtemp(
            prefix="untorn-bench-", dir=os.environ.get("BENCH_DISK", "/var/tmp")
        )
        self.segment = "bench-cache-peers-%d" % os.getpid()
        self.data_path = os.path.join(self.directory, "data.npy")
        self.writer = None
        try:
            self._make(untorn_calls, os.path.join(self.directory, "store"))
        except BaseException:
            self.close()
            raise

    def _make(self, untorn_calls, store):
        data = make_data(self.count)
        numpy.save(self.data_path, data)
        writer = untorn_calls.Writer(self.segment, store, 3 * data.nbytes + (64 << 20), 2)
        try:
            array = writer.define("array", "f4", self.count, self.chunk)
            writer.write(array, data)
            writer.commit()
        finally:
            writer.close()
        self.writer = untorn_calls.Writer(self.segment, store, 64 << 20, 1)
        self.path = os.path.realpath(os.path.join(store, "latest", "array"))
        chunks = [name for name in os.listdir(self.path) if name.isdigit()]
        if len(chunks) != self.count // self.chunk:
            raise RuntimeError("%s: not all chunks are there" % self.path)

    def close(self):
        if self.writer:
            self.writer.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def compare(world, threads, repetitions):
    kib = world.chunk * ITEMSIZE >> 10
    size = "%d MiB" % (kib >> 10) if kib >= 1024 else "%d KiB" % kib
    how = "one thread" if threads == 1 else "as it comes"
    chunks = world.count // world.chunk
    children = [Child(name, world, threads) for name in READERS]
    random = numpy.random.default_rng(2)
    whole = {one.name: [] for one in children}
    single = {one.name: [] for one in children}
    for turn in range(-1, repetitions):
        some = [[int(c) * world.chunk, world.chunk] for c in random.integers(0, chunks, 20)]
        for i in range(len(children)):
            one = children[(turn + 1 + i) % len(children)]
            all_of_it = one.read([[0, world.count]])
            a_chunk = one.read(some)
            if turn >= 0:
                whole[one.name].append(all_of_it)
                single[one.name].append(a_chunk)
    for one in children:
        one.end()
    for what, samples, nbytes in (
        ("all, in chunks", whole, world.count * ITEMSIZE),
        ("one chunk", single, world.chunk * ITEMSIZE),
    ):
        for one in children:
            first = one is children[0]
            ratio = report.paired_ratio(samples[children[0].name], samples[one.name])
            report.row_time(
                "%s, %s of %s, %s" % (one.version, what, size, how),
                samples[one.name],
                nbytes,
                None if first else "untorn's time / this",
                None if first else ratio,
            )


def main():
    effort = float(os.environ.get("BENCH_EFFORT", "1"))
    count = max(8, int(64 * min(effort, 1))) << 18
    repetitions = max(5, int(15 * effort))
    report.section("Reading through to the store, beside zarr-python and TensorStore")
    report.note(
        "%d MiB of float32, all chunks only in the store, Blosc with LZ4 and byte shuffle; the "
        "same files for all, in the kernel's memory; no caches; untorn checks hashes; from Python"
        % (count * ITEMSIZE >> 20)
    )
    for chunk in (1 << 18, 1 << 14):
        world = World(count, chunk)
        try:
            for threads in (1, 0):
                compare(world, threads, repetitions)
        finally:
            world.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:6], int(sys.argv[6]))
    else:
        main()
