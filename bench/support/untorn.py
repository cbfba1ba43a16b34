# SPDX-License-Identifier: MIT
"""The few calls of the C library that benchmarks in Python make, by ctypes.

UNTORN_LIBRARY names the shared library.  Structures are those of include/untorn.h.
"""

import ctypes
import os
from ctypes import POINTER, byref, c_char_p, c_int64, c_size_t, c_uint, c_uint64, c_void_p

ON_DEMAND = -1


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


_library = ctypes.CDLL(os.environ.get("UNTORN_LIBRARY", "libuntorn.so.0"))
_library.untorn_message.restype = c_char_p
_library.untorn_version.restype = c_char_p
_library.untorn_writer_close.argtypes = [c_void_p]
_library.untorn_writer_close.restype = None
_library.untorn_reader_close.argtypes = [c_void_p]
_library.untorn_reader_close.restype = None


def version():
    return _library.untorn_version().decode()


def _must(status):
    if status != 0:
        raise RuntimeError(_library.untorn_message().decode())


class Writer:
    """A writer with a store, flushed on demand, of which the newest snapshot is kept."""

    def __init__(self, segment, store, size, threads):
        options = _WriterOptions(struct_size=ctypes.sizeof(_WriterOptions))
        options.size = size
        options.versions = 2
        options.store = os.fsencode(store)
        options.flush_interval = ON_DEMAND
        options.flush_bytes = 2**64 - 1
        options.flush_threads = threads
        options.keep_snapshots = 1
        options.keep_time = 1
        self.segment = segment
        self._writer = c_void_p()
        _must(_library.untorn_writer_open(segment.encode(), byref(options), byref(self._writer)))

    def define(self, name, dtype, length, chunk):
        definition = _Definition(struct_size=ctypes.sizeof(_Definition))
        definition.dtype = dtype.encode()
        definition.rank = 1
        definition.shape = (c_uint64 * 1)(length)
        definition.chunks = (c_uint64 * 1)(chunk)
        array = c_void_p()
        _must(
            _library.untorn_define(self._writer, name.encode(), byref(definition), byref(array))
        )
        return array

    def write(self, array, data):
        """All of it, from a contiguous NumPy array."""
        _must(_library.untorn_write(array, None, None, None, c_void_p(data.ctypes.data)))

    def commit(self):
        _must(_library.untorn_commit(self._writer, None))

    def flush(self):
        _must(_library.untorn_flush(self._writer, None))

    def close(self):
        _library.untorn_writer_close(self._writer)
        _must(_library.untorn_segment_remove(self.segment.encode()))


class Reader:
    """A reader of one array of one axis; `threads` read from the store, 0: the default."""

    def __init__(self, segment, name, threads):
        options = _ReaderOptions(struct_size=ctypes.sizeof(_ReaderOptions))
        options.threads = threads
        self._reader, self._array = c_void_p(), c_void_p()
        _must(_library.untorn_reader_open(segment.encode(), byref(options), byref(self._reader)))
        _must(_library.untorn_array_open(self._reader, name.encode(), byref(self._array)))

    def read(self, start, data):
        """From element `start` on, as many as the contiguous NumPy array has room for."""
        first, count = c_uint64(start), c_uint64(data.size)
        _must(
            _library.untorn_read(
                self._array,
                byref(first),
                byref(count),
                c_void_p(data.ctypes.data),
                c_size_t(data.nbytes),
                None,
            )
        )

    def close(self):
        _library.untorn_reader_close(self._reader)
