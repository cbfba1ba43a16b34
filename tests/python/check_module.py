# SPDX-License-Identifier: MIT
"""What src/python/untorn.py promises: reads give back what was written, of all data types and
shapes; reads of several arrays are of one commit while a writer runs; waits wait, and end; what
fails says so as an exception; handles that were closed are refused, and so is what C could not
survive; memory of reads is given back."""

import copy

import gc
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading

import numpy as np
import untorn

HUNG = 120  # s


def same(got, expected):
    expected = np.asarray(expected)
    assert got.dtype == expected.dtype and got.shape == expected.shape, (got, expected)
    assert got.tobytes() == expected.tobytes(), (got, expected)


def fails(status, part, call, *arguments, **named):
    """The call raises Error with this status, or another exception if `status` is a class."""
    try:
        call(*arguments, **named)
    except (untorn.Error if isinstance(status, int) else status) as error:
        assert part in str(error), (part, str(error))
        assert not isinstance(status, int) or error.status == status, (status, error.status)
        return
    raise AssertionError(f"{call} succeeded, not: {part}")


def check_types():
    samples = [
        np.arange(24).reshape(2, 3, 4).astype(t)
        for t in "b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 c8 c16".split()
    ]
    samples += [np.array([b"one", b"three"]), np.zeros((2, 0), "f4"), np.array(2.5)]
    samples += [np.arange(60.0).reshape(3, 4, 5).transpose(2, 0, 1)[::2, ::-1]]
    with untorn.Writer("types") as writer, untorn.Reader("types") as reader:
        for i, sample in enumerate(samples):
            array = writer.require(f"a{i}", sample.shape, sample.dtype)
            array.write(sample)
        writer.commit()
        arrays = [reader.array(f"a{i}") for i in range(len(samples))]
        for array, got, sample in zip(arrays, reader.read(arrays)[0], samples):
            same(got, sample)
            same(array.read()[0], sample)
            out = np.ones(sample.shape, sample.dtype)
            assert array.read(out=out)[0] is out
            same(out, sample)
        assert set(reader.names()) == {f"a{i}" for i in range(len(samples))}


def check_metadata():
    with untorn.Writer("types") as writer, untorn.Reader("types") as reader:
        micro = {"unit": "\u00b5"}
        array = writer.require("group/x", (5, 7), "i4", (2, 7), -1, ["t", None], micro)
        writer.commit()
        x = reader.array("group/x")
        assert (x.name, x.chunks, x.dims, x.shape) == ("group/x", (2, 7), ("t", None), (5, 7))
        assert x.attributes == micro and x.rank == 2 and x.dtype == "i4"
        same(x.read()[0], np.full((5, 7), -1, "i4"))
        array.set_attributes({"a": [1, None]})
        array.resize((6, 2))
        array.write([[8], [9]], start=(4, 1))
        assert x.shape == (5, 7), "seen before the commit"
        commit = writer.commit()
        assert x.attributes == {"a": [1, None]} and x.shape == (6, 2)
        got, result = x.read(start=(4, 1), count=(untorn.TO_END, 1))
        same(got, np.array([[8], [9]], "i4"))
        assert result.commit == commit == reader.commit() and result.shape == (6, 2)
        assert f"commit={commit}, time={result.time}, " in repr(result), result
        array.append(np.full((6, 3), 5), axis=1)
        writer.abort()
        array.append(np.full((6, 1), 6), axis=1)
        writer.commit()
        same(x.read(start=(0, 2))[0], np.full((6, 1), 6, "i4"))


def check_refusals():
    fails(20, '"nothing": does not exist', untorn.Reader, "nothing")
    fails(20, '"nothing": does not exist', untorn.Reader, "nothing", timeout=0.05)
    fails(TypeError, "no option colour", untorn.Reader, "types", colour=1)
    with untorn.Writer("types", size=1 << 20) as writer, untorn.Reader("types") as reader:
        fails(27, "is its writer", untorn.Writer, "types")
        fails(22, '"no": does not exist', reader.array, "no")
        fails(25, "has data type <i4, not <f8", writer.require, "group/x", (1, 1), "f8")
        fails(3, "big-endian", writer.require, "big", (1,), ">f8")
        fails(ValueError, "2 names", writer.require, "names", (1,), dims=["a", "b"])
        fails(ValueError, "-1 is not between", writer.require, "length", (-1,))
        rows = writer.require("rows", (4, 3))
        writer.commit()
        fails(ValueError, "cannot be appended", rows.append, np.ones((2, 4)))
        fails(ValueError, "has 1 axes", rows.append, np.ones(3))
        fails(ValueError, "no axis 2", rows.append, np.ones((4, 3)), axis=2)
        fails(5, "exceeds", rows.write, np.ones((5, 3)))
        x = reader.array("rows")
        fails(5, "exceeds", x.read, start=(9, 0))
        fails(5, "exceeds", x.read, out=np.empty((5, 3)))
        fails(ValueError, "has 1 parts", x.read, start=(1,))
        fails(ValueError, "C-contiguous", x.read, out=np.empty((3, 4)).T)
        fails(ValueError, "C-contiguous", x.read, out=np.empty((4, 3), "f4"))
        fails(41, "timeout", x.wait, x.peek().generation, timeout=0.01)
        reader.close()
        fails(ValueError, "Reader is closed", x.read)
        fails(ValueError, "Reader is closed", reader.read, [x])
    fails(ValueError, "Writer is closed", rows.append, np.ones((1, 3)))
    fails(ValueError, "Writer is closed", writer.commit)
    with untorn.Reader("types") as reader:
        fails(43, "closed", reader.check)


def check_mistakes():
    """What the C library leaves to its caller."""
    fails(ValueError, "size cannot be -1", untorn.Writer, "types", size=-1)
    fails(ValueError, "versions cannot be", untorn.Writer, "types", versions=2**32 + 4)
    fails(ValueError, "NUL", untorn.Writer, "types", store="a\0b")
    fails(TypeError, "no option notify", untorn.Writer, "types", notify=1)
    with untorn.Writer("types") as writer, untorn.Reader("types") as reader:
        fails(ValueError, "NUL", writer.require, "a\0b", (1,))
        fails(ValueError, "NUL", writer.require, "nul", (1,), dims=["a\0b"])
        fails(ValueError, "NUL", reader.array, "a\0b")
        fails(ValueError, "reshape", writer.require, "fill", (1,), fill=[])
        fails(ValueError, "reshape", writer.require, "fill", (1,), fill=[1, 2])
        fails(ValueError, "has parts", writer.require, "parts", (1,), [("a", "i4"), ("o", "O")])
        fails(ValueError, "has parts", writer.require, "parts", (1,), ("f4", (2,)))
        rows, twice = [writer.require("defined", (2, 3)) for _ in range(2)]
        writer.abort()
        fails(ValueError, "aborted", rows.write, np.ones((2, 3)))
        fails(ValueError, "aborted", twice.resize, (1, 3))
        rows = writer.require("defined", (2, 3))
        writer.commit()
        writer.abort()
        rows.write(np.ones((2, 3)))  # what was committed stays usable
        writer.commit()
        x = reader.array("defined")
        fails(ValueError, "not the shape of out", x.read, count=(2, 2), out=np.empty((2, 3)))
        fails(ValueError, "-1 is not between", x.wait, -1)
        fails(ValueError, "-1 is not between", reader.wait_commit, -1)
        fails(ValueError, "no axis -1", x.wait_length, 1, axis=-1)
        x.wait(0, timeout=1e30)
        twin = copy.copy(x)
        same(twin.read()[0], np.ones((2, 3)))
        del x
        fails(ValueError, "Array is closed", twin.read)
    error = pickle.loads(pickle.dumps(untorn.Error(27, "another")))
    assert isinstance(error, untorn.Error) and (error.status, str(error)) == (27, "another")


def check_replaced():
    """The arrays that a reader has open are of other data types in the segment that comes next."""
    name = os.environ["UNTORN_SHM_DIR"] + "/untorn.replaced"
    with untorn.Writer("replaced") as writer:
        writer.require("x", (3,), "u1")
        writer.commit()
    reader = untorn.Reader("replaced")
    x = reader.array("x")
    os.remove(name)
    with untorn.Writer("replaced") as writer:
        writer.require("x", (3, 5), "f8")
        writer.commit()
        fails(46, "replaced", reader.check)
        reader.reattach()
        fails(25, "open it again", x.read)
        fails(25, "open it again", reader.read, [x])
        same(reader.array("x").read()[0], np.zeros((3, 5)))


def check_interrupts():
    """Ctrl-C while a writer opens leaves none open, and ends waits that spin."""
    call = untorn._call

    def interrupted(name, *arguments):
        call(name, *arguments)
        raise KeyboardInterrupt

    untorn._call = interrupted
    try:
        untorn.Writer("types")
    except KeyboardInterrupt as error:
        kept = error  # with its traceback, as an interactive Python does
    untorn._call = call
    untorn.Writer("types").close()
    del kept

    def interrupt(*_):
        raise KeyboardInterrupt

    with untorn.Writer("types"), untorn.Reader("types", spin=2**63 - 1) as reader:
        x = reader.array("rows")
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        fails(KeyboardInterrupt, "", x.wait, x.peek().generation)


FOLLOWER = """
import threading, untorn
reader = untorn.Reader("types")
x = reader.array("rows")
began = threading.Event()

def follow():
    while True:
        began.set()
        try:
            x.wait(x.peek().generation, timeout=0.01)
        except untorn.Error:
            pass

threading.Thread(target=follow, daemon=True).start()
began.wait()
kept = x.read()[0]
"""


def check_exit():
    """A program may end while a thread of it waits."""
    for _ in range(5):
        subprocess.run([sys.executable, "-c", FOLLOWER], check=True, timeout=HUNG)


PRODUCER = """
import numpy as np, untorn
with untorn.Writer("busy", size=32 << 20) as writer:
    x = writer.require("x", (64, 8), "i8", (8, 8))
    y = writer.require("y", (0,), "i8")
    for n in range(%d):
        x.write(np.full((64, 8), n)), y.append([n]), writer.commit()
"""


def check_commits():
    """Beside a writer at full rate: each read is of one commit, and none is older than before."""
    last = 30000
    producer = subprocess.Popen([sys.executable, "-c", PRODUCER % last])
    try:
        while not os.path.exists(os.environ["UNTORN_SHM_DIR"] + "/untorn.busy"):
            assert producer.poll() is None
        with untorn.Reader("busy") as reader:
            arrays = [reader.wait_array(name, HUNG) for name in "xy"]
            arrays[1].wait_length(1, timeout=HUNG)
            seen, reads = -1, 0
            while seen < last - 1:
                (x, y), result = reader.read(arrays)
                assert (x == x[0, 0]).all() and x[0, 0] == y[-1] == len(y) - 1, (x, y)
                assert y[-1] >= seen and result.shape == (64, 8)
                seen, reads = y[-1], reads + 1
        assert producer.wait(HUNG) == 0
        print(reads, "reads of both arrays")
    finally:
        producer.kill()


def check_waits():
    with untorn.Writer("types") as writer, untorn.Reader("types") as reader:
        x = reader.array("rows")
        before = x.peek().generation
        handled = []
        signal.signal(signal.SIGUSR1, lambda *_: handled.append(1))

        def later():
            os.kill(os.getpid(), signal.SIGUSR1)  # interrupts, and must not end the wait
            writer.require("rows", (0, 3)).append(np.ones((1, 3)))
            writer.commit()

        timer = threading.Timer(0.1, later)
        timer.start()
        x.wait(before, timeout=HUNG)
        timer.join()
        assert handled and x.peek().generation > before
        reader.wait_commit(reader.commit(), timeout=HUNG)

        waiting = []

        def interrupt(*_):
            if waiting:  # else it comes again
                signal.setitimer(signal.ITIMER_REAL, 0)
                raise KeyboardInterrupt

        def wait():
            waiting.append(1)
            x.wait(x.peek().generation)

        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        fails(KeyboardInterrupt, "", wait)


def check_fork():
    with untorn.Writer("types") as writer, untorn.Reader("types") as reader:
        x = reader.array("rows")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                fails(9, "inherited over a fork", writer.commit)
                assert len(x.read()[0]) == x.shape[0]
                del writer, reader, x
                gc.collect()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        writer.require("rows", (0, 3)).append(np.ones((1, 3)))
        writer.commit()
        reader.check()


def check_memory():
    """What reads return is freed when it is dropped, and not before."""
    with untorn.Writer("large", size=64 << 20) as writer, untorn.Reader("large") as reader:
        array = writer.require("x", (1 << 20,), "f8")
        array.write(np.arange(1 << 20))
        writer.commit()
        x = reader.array("x")
        kept = x.read()[0][5:8]
        for _ in range(500):  # 4 GiB in all
            x.read()
            reader.read([x, x])
            fails(5, "exceeds", x.read, start=(2 << 20,))
        same(kept, np.arange(5.0, 8.0))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        assert peak < 600, f"{peak} MiB"
        for _ in range(1000):
            reader.array("x")


for check in [
    check_types,
    check_metadata,
    check_refusals,
    check_mistakes,
    check_replaced,
    check_interrupts,
    check_exit,
    check_commits,
    check_waits,
    check_fork,
    check_memory,
]:
    check()
    print(check.__name__)
