# SPDX-License-Identifier: MIT
"""The segments on this machine, and the library's version: what needs no NumPy.

UNTORN_LIBRARY names the shared library.
"""

import ctypes
import os
from ctypes import POINTER, byref, c_char_p, c_size_t, c_void_p


class _Names(ctypes.Structure):
    _fields_ = [("count", c_size_t), ("names", POINTER(c_char_p))]


def library():
    """One of one's own: how its calls are called is said by who has it."""
    return ctypes.CDLL(os.environ.get("UNTORN_LIBRARY", "libuntorn.so.0"))


_library = library()
_library.untorn_message.restype = c_char_p
_library.untorn_version.restype = c_char_p
_library.untorn_segments_free.argtypes = [c_void_p]
_library.untorn_segments_free.restype = None


def _must(status):
    if status:
        raise RuntimeError(_library.untorn_message().decode(errors="replace"))


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
