# SPDX-License-Identifier: MIT
"""The calls of the C library that benchmarks in Python make, by ctypes.

UNTORN_LIBRARY names the shared library.  Structures are those of include/untorn.h.  A call through
ctypes costs about a microsecond; what is measured often prepares its arguments beforehand
(Region), so that only the call itself is in the time.
"""

import ctypes
import os
from ctypes import (
    POINTER,
    byref,
    c_char_p,
    c_int64,
    c_size_t,
    c_uint,
    c_uint64,
    c_void_p,
)

ON_DEMAND = -1
OK, BUFFER_TOO_SMALL, NO_ARRAY, ARRAY_DELETED = 0, 6, 22, 24
_MAX_RANK = 16
_TO_END = 2**64 - 1


class _WriterOptions(ctypes.Structure):
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


class _Definition(ctypes.Structure):
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


class _ReaderOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("flags", c_uint),
        ("attempts", c_uint),
        ("cache_bytes", c_size_t),
        ("threads", c_uint),
    ]


class _Result(ctypes.Structure):
    _fields_ = [
        ("generation", c_uint64),
        ("commit", c_uint64),
        ("time", c_int64),
        ("attempts", c_uint),
        ("pinned", c_uint),
        ("rank", c_uint),
        ("shape", c_uint64 * _MAX_RANK),
    ]


class _Request(ctypes.Structure):
    _fields_ = [
        ("array", c_void_p),
        ("start", POINTER(c_uint64)),
        ("count", POINTER(c_uint64)),
        ("steps", POINTER(c_uint64)),
        ("strides", POINTER(c_int64)),
        ("destination", c_void_p),
        ("capacity", c_size_t),
        ("flags", c_uint),
        ("attributes", POINTER(c_char_p)),
        ("generation", c_uint64),
        ("commit", c_uint64),
        ("shape", c_uint64 * _MAX_RANK),
        ("counted", c_uint64 * _MAX_RANK),
    ]


class _Names(ctypes.Structure):
    _fields_ = [("count", c_size_t), ("names", POINTER(c_char_p))]


def _load():
    library = ctypes.CDLL(os.environ.get("UNTORN_LIBRARY", "libuntorn.so.0"))
    library.untorn_message.restype = c_char_p
    library.untorn_version.restype = c_char_p
    library.untorn_reader_commit.restype = c_uint64
    library.untorn_segments_free.restype = None
    for name, *types in (
        ("writer_close", c_void_p),
        ("reader_close", c_void_p),
        ("array_close", c_void_p),
        ("segments_free", c_void_p),
        ("reader_commit", c_void_p),
        ("commit", c_void_p, c_void_p),
        ("append", c_void_p, c_uint, c_uint64, c_void_p, c_void_p),
        ("write", c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
        ("read", c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p),
        ("read_group", c_void_p, c_void_p, c_size_t, c_void_p),
    ):
        getattr(library, "untorn_" + name).argtypes = types
    for name in ("writer_close", "reader_close", "array_close"):
        getattr(library, "untorn_" + name).restype = None
    return library


_library = _load()


class Failed(RuntimeError):
    """A call of the library failed; `status` is its number."""

    def __init__(self, status):
        super().__init__(_library.untorn_message().decode(errors="replace"))
        self.status = status


def version():
    return _library.untorn_version().decode()


def segments():
    """The names of the segments on this machine."""
    listing = POINTER(_Names)()
    _must(_library.untorn_segments(byref(listing)))
    names = [listing.contents.names[i].decode() for i in range(listing.contents.count)]
    _library.untorn_segments_free(listing)
    return names


def remove(segment):
    _must(_library.untorn_segment_remove(segment.encode()))


def _must(status):
    if status != OK:
        raise Failed(status)


def _numbers(values, kind=c_uint64):
    return (kind * len(values))(*values)


class Writer:
    """A writer, with a store if one is named.

    With `interval` (ns) it is as an application's would be: flushed that often, all else as the
    library has it by default.  Without, it is flushed on demand alone and keeps as little as can
    be: two versions in memory, and the newest snapshot in the store.
    """

    def __init__(self, segment, store=None, size=0, threads=0, interval=None):
        options = _WriterOptions(struct_size=ctypes.sizeof(_WriterOptions))
        options.size = size
        options.flush_threads = threads
        if store:
            options.store = os.fsencode(store)
            options.flush_interval = ON_DEMAND if interval is None else interval
            if interval is None:
                options.versions = 2
                options.flush_bytes = 2**64 - 1
                options.keep_snapshots = options.keep_time = 1
        self.segment = segment
        self._writer = c_void_p()
        _must(_library.untorn_writer_open(segment.encode(), byref(options), byref(self._writer)))

    def define(self, name, dtype, shape, chunks):
        """`shape` and `chunks` are tuples, or numbers if there is one axis."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        chunks = (chunks,) if isinstance(chunks, int) else chunks and tuple(chunks)
        definition = _Definition(struct_size=ctypes.sizeof(_Definition))
        definition.dtype = dtype.encode()
        definition.rank = len(shape)
        definition.shape = _numbers(shape)
        if chunks:
            definition.chunks = _numbers(chunks)
        array = c_void_p()
        _must(_library.untorn_define(self._writer, name.encode(), byref(definition), byref(array)))
        return array

    def delete(self, name):
        _must(_library.untorn_delete(self._writer, name.encode()))

    def set_group_attributes(self, group, json):
        """`group` is "" for the root."""
        _must(_library.untorn_set_group_attributes(self._writer, group.encode(), json.encode()))

    def write(self, array, data):
        """All of it, from a contiguous NumPy array."""
        _must(_library.untorn_write(array, None, None, None, data.ctypes.data))

    def region(self, array, start, data):
        """A function that writes the contiguous NumPy array to the region that begins at `start`,
        prepared for many calls."""
        first, count = _numbers(start), _numbers(data.shape)
        where = ctypes.addressof(first), ctypes.addressof(count), None, data.ctypes.data

        def write(keep=(first, count, data)):
            if _library.untorn_write(array, *where) != OK:
                raise Failed(-1)

        return write

    def append(self, array, data):
        """Along the first axis, from a contiguous NumPy array."""
        _must(_library.untorn_append(array, 0, data.shape[0], None, data.ctypes.data))

    def commit(self):
        _must(_library.untorn_commit(self._writer, None))

    def flush(self):
        _must(_library.untorn_flush(self._writer, None))

    def close(self):
        _library.untorn_writer_close(self._writer)
        remove(self.segment)


class Region:
    """A region of a reader's array and where it goes, prepared for many reads.

    `data` is a NumPy array of the region's shape: contiguous for read(), any view for Group, whose
    call is the one of the library's that has strides, and steps.
    """

    def __init__(self, reader, start, data, steps=None):
        self._data = data
        self._reader, self._array = reader._reader, reader._array
        self._start, self._count = _numbers(start), _numbers(data.shape)
        self._steps = steps and _numbers(steps)
        self._strides = None if data.flags.c_contiguous else _numbers(data.strides, c_int64)
        # Addresses as plain numbers: ctypes converts them faster than pointers.
        self._where = [
            ctypes.addressof(self._start),
            ctypes.addressof(self._count),
            data.ctypes.data,
            data.nbytes,
        ]

    def read(self):
        start, count, destination, capacity = self._where
        status = _library.untorn_read(self._array, start, count, destination, capacity, None)
        if status != OK:
            raise Failed(status)

    def request(self):
        request = _Request(array=self._array)
        request.start = ctypes.cast(self._start, POINTER(c_uint64))
        request.count = ctypes.cast(self._count, POINTER(c_uint64))
        if self._steps:
            request.steps = ctypes.cast(self._steps, POINTER(c_uint64))
        if self._strides is not None:
            request.strides = ctypes.cast(self._strides, POINTER(c_int64))
        request.destination = self._data.ctypes.data
        last = sum((n - 1) * s for n, s in zip(self._data.shape, self._data.strides))
        request.capacity = last + self._data.itemsize
        return request


class Group:
    """Several regions of one reader, read as of one commit."""

    def __init__(self, regions):
        self._regions = regions
        self._reader = regions[0]._reader
        self._requests = (_Request * len(regions))(*[region.request() for region in regions])

    def read(self):
        count = len(self._requests)
        status = _library.untorn_read_group(self._reader, self._requests, count, None)
        if status != OK:
            raise Failed(status)


class Reader:
    """A reader of one array; `threads` read from the store, 0: the default."""

    def __init__(self, segment, name, threads=0):
        options = _ReaderOptions(struct_size=ctypes.sizeof(_ReaderOptions))
        options.threads = threads
        self._reader, self._array = c_void_p(), c_void_p()
        self._result = _Result()
        self._result_at = ctypes.addressof(self._result)
        _must(_library.untorn_reader_open(segment.encode(), byref(options), byref(self._reader)))
        try:
            self.open(name)
        except Failed:
            self.close()
            raise

    def open(self, name):
        """Another array in place of the one that is open, if any."""
        if self._array:
            _library.untorn_array_close(self._array)
        self._array = c_void_p()
        _must(_library.untorn_array_open(self._reader, name.encode(), byref(self._array)))

    def read(self, start, data):
        """From element `start` on, as many as the contiguous NumPy array has room for."""
        first, count = c_uint64(start), c_uint64(data.size)
        _must(
            _library.untorn_read(
                self._array, byref(first), byref(count), data.ctypes.data, data.nbytes, None
            )
        )

    def read_whole(self, data):
        """All of an array of one axis into the contiguous NumPy array: the length that it has, and
        nothing was read if that is more than there is room for."""
        status = _library.untorn_read(
            self._array, None, None, data.ctypes.data, data.nbytes, self._result_at
        )
        if status not in (OK, BUFFER_TOO_SMALL):
            raise Failed(status)
        return self._result.shape[0]

    def commit(self):
        return _library.untorn_reader_commit(self._reader)

    def close(self):
        _library.untorn_reader_close(self._reader)
