# SPDX-License-Identifier: MIT
"""The calls of the C library that benchmarks in Python make.

Structures are those of src/python/untorn.py, and so is the library (UNTORN_LIBRARY).  That module
is for programs, and makes arrays as it reads; a call through ctypes costs about a microsecond, and
what is measured here often prepares its arguments beforehand (Region), so that only the call itself
is in the time.
"""

import ctypes
import os
import sys
from ctypes import POINTER, byref, c_int64, c_size_t, c_uint, c_uint64, c_void_p

sys.path.append(
    os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "src", "python")
)

from segments import library, remove  # noqa: E402
from untorn import (  # noqa: E402
    ON_DEMAND,
    Definition,
    Error,
    ReaderOptions,
    Request,
    Result,
    WriterOptions,
)

OK, BUFFER_TOO_SMALL, NO_ARRAY, ARRAY_DELETED = 0, 6, 22, 24

_library = library()
for _name, *_types in (
    ("writer_close", c_void_p),
    ("reader_close", c_void_p),
    ("array_close", c_void_p),
    ("reader_commit", c_void_p),
    ("commit", c_void_p, c_void_p),
    ("append", c_void_p, c_uint, c_uint64, c_void_p, c_void_p),
    ("write", c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
    ("read", c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p),
    ("read_group", c_void_p, c_void_p, c_size_t, c_void_p),
):
    getattr(_library, "untorn_" + _name).argtypes = _types
_library.untorn_reader_commit.restype = c_uint64
for _name in ("writer_close", "reader_close", "array_close"):
    getattr(_library, "untorn_" + _name).restype = None


def _must(status):
    if status != OK:
        raise Error(status)


def _numbers(values, kind=c_uint64):
    return (kind * len(values))(*values)


class Writer:
    """A writer, with a store if one is named.

    With `interval` (ns) it is as an application's would be: flushed that often, all else as the
    library has it by default.  Without, it is flushed on demand alone and keeps as little as can
    be: two versions in memory, and the newest snapshot in the store.
    """

    def __init__(self, segment, store=None, size=0, threads=0, interval=None):
        options = WriterOptions(struct_size=ctypes.sizeof(WriterOptions))
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
        definition = Definition(struct_size=ctypes.sizeof(Definition))
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
                raise Error(-1)

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
            raise Error(status)

    def request(self):
        request = Request(array=self._array)
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
        self._requests = (Request * len(regions))(*[region.request() for region in regions])

    def read(self):
        count = len(self._requests)
        status = _library.untorn_read_group(self._reader, self._requests, count, None)
        if status != OK:
            raise Error(status)


class Reader:
    """A reader of one array; `threads` read from the store, 0: the default."""

    def __init__(self, segment, name, threads=0):
        options = ReaderOptions(struct_size=ctypes.sizeof(ReaderOptions))
        options.threads = threads
        self._reader, self._array = c_void_p(), c_void_p()
        self._result = Result()
        self._result_at = ctypes.addressof(self._result)
        _must(_library.untorn_reader_open(segment.encode(), byref(options), byref(self._reader)))
        try:
            self.open(name)
        except Error:
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
            raise Error(status)
        return self._result.shape[0]

    def commit(self):
        return _library.untorn_reader_commit(self._reader)

    def close(self):
        _library.untorn_reader_close(self._reader)
