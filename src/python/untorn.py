# SPDX-License-Identifier: MIT
"""Untorn from Python: a thin layer over the C library, by ctypes and NumPy.

Has what most programs need, under the names of include/untorn.h, which is the manual: a writer
with require, write, append, commit and flush; a reader with reads of one array and of several as
of one commit, and waits.  A failed call raises Error, with the library's sentence.  Snapshots,
steps and filling chunks in place are left to C.

One file, which `make install` puts where PYTHONPATH can name it.  It loads the library beside which
it was installed, else libuntorn.so.0 from where the system's loader looks, or $UNTORN_LIBRARY;
tests/python/ compares the structures below with the header.  Calls release Python's lock while they
run.

What C trusts its caller with is checked here, but that threads keep apart.
"""

import ctypes
import json
import math
import os
import time
import weakref
from ctypes import POINTER, byref, c_char_p, c_int64, c_size_t, c_uint, c_uint64, c_void_p

import numpy as np

MAX_RANK = 16
TO_END = 2**64 - 1  # a count: up to the axis's end
ON_DEMAND = -1  # a flush_interval
_GROW = 1
_KIND_ARRAY = 2
_NO_SEGMENT, _NO_ARRAY, _TIMEOUT, _INTERRUPTED = 20, 22, 41, 42  # UNTORN_E_...
_SLICE = 0.5  # s; see _wait()

_library = ctypes.CDLL(os.environ.get("UNTORN_LIBRARY") or "libuntorn.so.0")
_free = ctypes.CDLL(None).free
_free.argtypes, _free.restype = [c_void_p], None
for _name in "untorn_message", "untorn_status_text":
    getattr(_library, _name).restype = c_char_p
for _name in "untorn_writer_commit", "untorn_reader_commit":
    getattr(_library, _name).restype = c_uint64
    getattr(_library, _name).argtypes = [c_void_p]


class Error(Exception):
    """A call failed: its untorn_status, and the sentence of untorn_message()."""

    def __init__(self, status, sentence):
        self.status = status
        super().__init__(status, sentence)

    def __str__(self):
        return self.args[1]


def _call(name, *arguments):
    status = getattr(_library, name)(*arguments)
    if status:
        raise Error(status, _library.untorn_message().decode(errors="replace"))


class WriterOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("flags", c_uint),
        ("size", c_uint64),
        ("mode", c_uint),
        ("control_mode", c_uint),
        ("versions", c_uint),
        ("lease_ms", c_uint),
        ("store", c_char_p),
        ("flush_interval", c_int64),
        ("flush_bytes", c_uint64),
        ("flush_threads", c_uint),
        ("store_format", c_uint),
        ("keep_snapshots", c_uint),
        ("keep_time", c_int64),
        ("notify", c_void_p),
        ("notify_context", c_void_p),
    ]


class Definition(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("dtype", c_char_p),
        ("rank", c_uint),
        ("shape", POINTER(c_uint64)),
        ("chunks", POINTER(c_uint64)),
        ("fill", c_void_p),
        ("dimension_names", POINTER(c_char_p)),
        ("attributes", c_char_p),
        ("codec", c_char_p),
    ]


class ReaderOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("flags", c_uint),
        ("attempts", c_uint),
        ("cache_bytes", c_size_t),
        ("threads", c_uint),
        ("spin", c_int64),
    ]


class ArrayInfo(ctypes.Structure):
    _fields_ = [
        ("name", c_char_p),
        ("dtype", c_char_p),
        ("itemsize", c_size_t),
        ("rank", c_uint),
        ("chunks", POINTER(c_uint64)),
        ("fill", c_void_p),
        ("dimension_names", POINTER(c_char_p)),
        ("codec", c_char_p),
    ]


class Result(ctypes.Structure):
    """What a read returned.  `time` is the commit's, in nanoseconds since 1970."""

    _fields_ = [
        ("generation", c_uint64),
        ("commit", c_uint64),
        ("time", c_int64),
        ("attempts", c_uint),
        ("pinned", c_uint),
        ("rank", c_uint),
        ("_shape", c_uint64 * MAX_RANK),
    ]

    @property
    def shape(self):
        """Of the whole array."""
        return tuple(self._shape[: self.rank])

    def __repr__(self):
        names = "generation", "commit", "time", "attempts", "pinned", "shape"
        return f"Result({', '.join(f'{name}={getattr(self, name)}' for name in names)})"


class Request(ctypes.Structure):
    _fields_ = [
        ("array", c_void_p),
        ("start", POINTER(c_uint64)),
        ("count", POINTER(c_uint64)),
        ("steps", POINTER(c_uint64)),
        ("strides", POINTER(c_int64)),
        ("destination", c_void_p),
        ("capacity", c_size_t),
        ("flags", c_uint),
        ("attributes", POINTER(c_void_p)),
        ("generation", c_uint64),
        ("commit", c_uint64),
        ("shape", c_uint64 * MAX_RANK),
        ("counted", c_uint64 * MAX_RANK),
    ]


class Entry(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("kind", c_uint)]


class Listing(ctypes.Structure):
    _fields_ = [("count", c_size_t), ("entries", POINTER(Entry)), ("commit", c_uint64)]


STRUCTURES = {
    "untorn_writer_options": WriterOptions,
    "untorn_definition": Definition,
    "untorn_reader_options": ReaderOptions,
    "untorn_array_info": ArrayInfo,
    "untorn_result": Result,
    "untorn_request": Request,
    "untorn_entry": Entry,
    "untorn_listing": Listing,
}


def _lengths(values, rank=None):
    """A C array of lengths, one for each axis; None stays None, the library's default."""
    if values is None:
        return None
    values = tuple(values)
    if rank is not None and len(values) != rank:
        raise ValueError(f"{values} has {len(values)} parts, the array has {rank} axes")
    return (c_uint64 * len(values))(*map(_length, values))


def _length(value):
    """Or another number; ctypes would take any, modulo 2**64."""
    if not 0 <= value <= TO_END:
        raise ValueError(f"{value} is not between 0 and 2**64 - 1")
    return value


def _known_axis(axis, rank):
    if not 0 <= axis < rank:
        raise ValueError(f"there is no axis {axis}, the array has {rank}")


def _text(text):
    """C's form of a name, or of a path, which is bytes; None stays None."""
    text = text.encode() if isinstance(text, str) else text
    if text is not None and 0 in text:
        raise ValueError(f"{text} has a NUL in it")
    return text


def _json(attributes):
    return None if attributes is None else json.dumps(attributes).encode()


def _options(structure, given):
    options = structure(struct_size=ctypes.sizeof(structure))
    for name, value in given.items():
        if name not in dict(structure._fields_[1:]) or name.startswith("notify"):
            raise TypeError(f"there is no option {name}")
        if name == "store" and value is not None:
            value = _text(os.fsencode(value))
        setattr(options, name, value)
        if getattr(options, name) != value:
            raise ValueError(f"{name} cannot be {value}")
    return options


def _dtype(dtype):
    """As NumPy's, refused if the text for it, which is all that the library gets, tells less."""
    dtype = np.dtype(dtype)
    if dtype.fields is not None or dtype.subdtype is not None:
        plain = f"V{dtype.itemsize}"
        raise ValueError(f"{dtype} has parts: use arrays of {plain!r}, by .view({plain!r})")
    return dtype


class _Handle:
    """Something that is closed: explicitly, by `with`, or when nothing refers to it any more."""

    def __init__(self, close, opening, *arguments):
        self._opened = c_void_p()
        self._closing = weakref.finalize(self, getattr(_library, close), self._opened)
        try:
            opening(*arguments, byref(self._opened))
        except BaseException:  # that of Ctrl-C comes when all is open
            self.close()
            raise

    @property
    def _handle(self):
        if not self._closing.alive:
            raise ValueError(f"this {type(self).__name__} is closed")
        return self._opened

    def close(self):
        self._closing()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _Transaction:
    """What defined arrays go with if it is aborted."""

    def __init__(self):
        self.aborted, self.defined = False, set()


class Writer(_Handle):
    """The writer of a segment.  Options are those of untorn_writer_options: size, store, ..."""

    def __init__(self, segment, **options):
        options = _options(WriterOptions, options)
        opening = _call, "untorn_writer_open", _text(segment), byref(options)
        super().__init__("untorn_writer_close", *opening)
        self._transaction = _Transaction()

    def require(
        self,
        name,
        shape,
        dtype="f8",
        chunks=None,
        fill=None,
        dims=None,
        attributes=None,
        codec=None,
    ):
        """Open the array, or define it if it is not there: a WriterArray."""
        dtype, rank, name = _dtype(dtype), len(shape), _text(name)
        fill = None if fill is None else np.array(fill, dtype).reshape(()).tobytes()
        names = None
        if dims is not None:
            if len(dims) != rank:
                raise ValueError(f"{dims} has {len(dims)} names, the array has {rank} axes")
            names = (c_char_p * rank)(*map(_text, dims))
        definition = Definition(
            struct_size=ctypes.sizeof(Definition),
            dtype=dtype.str.encode(),
            rank=rank,
            shape=_lengths(shape),
            chunks=_lengths(chunks, rank),
            fill=None if fill is None else ctypes.cast(c_char_p(fill), c_void_p),
            dimension_names=names,
            attributes=_json(attributes),
            codec=_text(codec),
        )
        array = c_void_p()
        known = _library.untorn_writer_array_open(self._handle, name, byref(array)) != _NO_ARRAY
        _call("untorn_require", self._handle, name, byref(definition), byref(array))
        if not known:
            self._transaction.defined.add(name)
        since = self._transaction if name in self._transaction.defined else None
        return WriterArray(self, array, dtype, rank, since)

    def commit(self):
        """Make everything changed since the last commit visible, at one instant: its number."""
        commit = c_uint64()
        _call("untorn_commit", self._handle, byref(commit))
        self._transaction = _Transaction()
        return commit.value

    def flush(self):
        """Return once the last commit is in the store: its number."""
        commit = c_uint64()
        _call("untorn_flush", self._handle, byref(commit))
        return commit.value

    def abort(self):
        """Forget what was changed since the last commit, and the arrays that were defined."""
        self._transaction.aborted = True
        _library.untorn_abort(self._handle)
        self._transaction = _Transaction()


class WriterArray:
    """An array as its writer has it.  Nothing of it is seen by readers before Writer.commit()."""

    def __init__(self, writer, handle, dtype, rank, since):
        self._writer, self._array, self.dtype, self.rank = writer, handle, dtype, rank
        self._since = since

    @property
    def _handle(self):
        if self._since and self._since.aborted:
            raise ValueError("this array's definition was aborted: require() it again")
        return self._writer._handle and self._array

    @property
    def shape(self):
        rank, shape = c_uint(), (c_uint64 * MAX_RANK)()
        _call("untorn_writer_array_shape", self._handle, byref(rank), shape)
        return tuple(shape[: rank.value])

    def _source(self, data, what):
        """`data` as elements of this array, in C order without gaps."""
        data = np.ascontiguousarray(data, self.dtype).reshape(np.shape(data))
        if data.ndim != self.rank:
            raise ValueError(f"{what} has {data.ndim} axes, the array has {self.rank}")
        return data

    def write(self, data, start=None):
        """Write a region of the shape of `data`, which begins at `start` (None: at the origin)."""
        data = self._source(data, "what is written")
        start, count = _lengths(start, self.rank), _lengths(data.shape)
        _call("untorn_write", self._handle, start, count, None, c_void_p(data.ctypes.data))

    def append(self, rows, axis=0):
        """Grow the array along `axis` by what `rows` has."""
        rows = self._source(rows, "what is appended")
        shape = self.shape
        _known_axis(axis, self.rank)
        if any(a != axis and n != shape[a] for a, n in enumerate(rows.shape)):
            raise ValueError(f"{rows.shape} cannot be appended to {shape} on axis {axis}")
        count = c_uint64(rows.shape[axis])
        _call("untorn_append", self._handle, c_uint(axis), count, None, c_void_p(rows.ctypes.data))

    def resize(self, shape):
        _call("untorn_resize", self._handle, _lengths(shape, self.rank))

    def set_attributes(self, attributes):
        _call("untorn_set_attributes", self._handle, _json(attributes))


def _wait(name, before, timeout, *after):
    """A wait with a timeout in seconds, None for ever.  Handlers of signals run in between; unless
    one raises an exception, as that of Ctrl-C does, the wait goes on.  In slices, because a signal
    ends none that comes before it sleeps or while it spins."""
    end = math.inf if timeout is None else time.monotonic() + timeout
    while True:
        left = end - time.monotonic()
        part = c_int64(int(max(0, min(left, _SLICE)) * 1e9))
        try:
            return _call(name, *before, part, *after)
        except Error as error:
            if error.status != _INTERRUPTED and (error.status != _TIMEOUT or left <= _SLICE):
                raise


def _open_reader(segment, options, timeout, handle):
    end = math.inf if timeout is None else time.monotonic() + timeout
    while True:
        try:
            return _call("untorn_reader_open", segment, options, handle)
        except Error as error:  # there is nothing yet that could wake anybody
            if error.status != _NO_SEGMENT or time.monotonic() >= end:
                raise
        time.sleep(0.01)


class Reader(_Handle):
    """A reader of a segment.  Options are those of untorn_reader_options: cache_bytes, spin, ..."""

    def __init__(self, segment, timeout=0, **options):
        """Waits for `timeout` seconds (None: for ever) if there is no such segment yet."""
        options = _options(ReaderOptions, options)
        opening = _open_reader, _text(segment), byref(options), timeout
        super().__init__("untorn_reader_close", *opening)
        self._closing.atexit = False  # daemon threads may be reading still

    def array(self, name):
        """Open an array: what is returned is for one thread at a time."""
        array = c_void_p()
        _call("untorn_array_open", self._handle, _text(name), byref(array))
        return Array(self, array)

    def wait_array(self, name, timeout=None):
        """As array(), once there is an array of this name; timeouts are in seconds."""
        array = c_void_p()
        _wait("untorn_wait_array", (self._handle, _text(name)), timeout, byref(array))
        return Array(self, array)

    def names(self):
        """The names of all arrays."""
        listing = POINTER(Listing)()
        _call("untorn_list", self._handle, byref(listing))
        entries = listing.contents.entries[: listing.contents.count]
        names = [entry.name.decode() for entry in entries if entry.kind == _KIND_ARRAY]
        _library.untorn_listing_free(listing)
        return names

    def read(self, arrays):
        """Copy several whole arrays as of one commit: a list of them, and the Result."""
        requests = (Request * len(arrays))()
        for request, array in zip(requests, arrays):
            request.array, request.flags = array._handle, _GROW
        result = self._read(requests)
        return [_taken(r, array) for r, array in zip(requests, arrays)], result

    def _read(self, requests):
        result, count = Result(), c_size_t(len(requests))
        try:
            _call("untorn_read_group", self._handle, requests, count, byref(result))
        except BaseException:
            for request in requests:
                if request.flags & _GROW:
                    _free(request.destination)
            raise
        return result

    def commit(self):
        """The number of the last commit."""
        return _library.untorn_reader_commit(self._handle)

    def wait_commit(self, commit, timeout=None):
        """Wait until the last commit is `commit` or a later one."""
        _wait("untorn_wait_commit", (self._handle, c_uint64(_length(commit))), timeout)

    def check(self):
        """Raise Error if no writer is alive, or the segment was removed or replaced."""
        _call("untorn_reader_check", self._handle)

    def reattach(self):
        """Attach to the segment that replaced this one.  Arrays stay usable."""
        _call("untorn_reader_reattach", self._handle)


def _taken(request, array):
    """What the library read into memory of its own, which from now on is the NumPy array's."""
    shape = tuple(request.counted[: array.rank])
    size = math.prod(shape) * array.dtype.itemsize
    if not size:
        _free(request.destination)
        return np.empty(shape, array.dtype)
    return np.asarray(_Memory(request.destination, shape, array.dtype.str))


class _Memory:
    """An array in malloc()'s memory, which is freed when nothing refers to it any more."""

    def __init__(self, address, shape, typestr):
        self._address = address
        self.__array_interface__ = dict(
            version=3, data=(address, False), shape=shape, typestr=typestr
        )

    def __del__(self, free=_free):
        free(self._address)


def _close_array(reader_closing, handle):
    if reader_closing.alive:
        _library.untorn_array_close(handle)


class Array:
    """An array as a reader has it."""

    def __init__(self, reader, handle):
        self._reader, self._array = reader, handle
        self._closing = weakref.finalize(self, _close_array, reader._closing, handle)
        self._closing.atexit = False
        info = ArrayInfo()
        _call("untorn_array_get_info", handle, byref(info))
        self.name, self.rank = info.name.decode(), info.rank
        self.dtype = np.dtype(info.dtype.decode())
        self.chunks = tuple(info.chunks[: self.rank])
        names = info.dimension_names
        self.dims = tuple(n and n.decode() for n in names[: self.rank]) if names else None

    @property
    def _handle(self):
        if not self._closing.alive:  # this one is a copy
            raise ValueError("this Array is closed")
        return self._reader._handle and self._array

    def peek(self):
        """The Result of a read, without reading."""
        result = Result()
        _call("untorn_peek", self._handle, byref(result))
        return result

    @property
    def shape(self):
        return self.peek().shape

    @property
    def attributes(self):
        text = c_void_p()
        _call("untorn_attributes", self._handle, byref(text), None)
        try:
            return json.loads(ctypes.string_at(text))
        finally:
            _free(text)

    def read(self, start=None, count=None, out=None):
        """Copy a region of one generation, by default all: a NumPy array, and the Result.

        A count may be TO_END.  `out` is filled instead, from `start` on: a C-contiguous array of
        this data type."""
        request = Request(array=self._handle, flags=_GROW)
        if out is not None:
            if out.dtype != self.dtype or not out.flags.carray:
                raise ValueError(f"out is not a C-contiguous array of {self.dtype} to write to")
            if count is not None and tuple(count) != out.shape:
                raise ValueError(f"count {count} is not the shape of out, {out.shape}")
            request.flags, count = 0, out.shape
            request.destination, request.capacity = out.ctypes.data, out.nbytes
        request.start, request.count = _lengths(start, self.rank), _lengths(count, self.rank)
        requests = (Request * 1)(request)
        result = self._reader._read(requests)
        return _taken(requests[0], self) if out is None else out, result

    def wait(self, generation, timeout=None):
        """Wait until the array's generation is above `generation`."""
        _wait("untorn_wait", (self._handle, c_uint64(_length(generation))), timeout)

    def wait_length(self, length, axis=0, timeout=None):
        """Wait until the array has at least `length` elements along `axis`."""
        _known_axis(axis, self.rank)
        before = self._handle, c_uint(axis), c_uint64(_length(length))
        _wait("untorn_wait_length", before, timeout)
