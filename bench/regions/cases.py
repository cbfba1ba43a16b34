# SPDX-License-Identifier: MIT
"""The regions that are read and written, and how each library is asked for one.

A case is a function of NumPy's slicing: it yields Reads or Writes, several places of the same kind,
so that not one region is read from the processor's cache again and again.  Places are the same in
every run.
"""

import numpy

import untorn_calls

_PLACES = 16
_STEP = 8


class Read:
    """One region: source[slices] of both, into a destination of its own."""

    def __init__(self, slices, destination=None):
        self.slices, self.destination = slices, destination

    def prepare(self, reader, plain):
        """Functions without arguments that copy the region by untorn and by NumPy."""
        view = plain[self.slices]
        self.expected = view
        if self.destination is None:
            self.destination = numpy.empty(view.shape, view.dtype)
        out = self.destination
        return self._call(reader), lambda: numpy.copyto(out, view)

    def _call(self, reader):
        """With strides or steps it is the group read, of one request."""
        steps = [s.step or 1 for s in self.slices] if any(s.step for s in self.slices) else None
        start = [s.start or 0 for s in self.slices]
        region = untorn_calls.Region(reader, start, self.destination, steps)
        if steps is None and self.destination.flags.c_contiguous:
            return region.read
        return untorn_calls.Group([region]).read


class Write:
    """One region: a source of its own, to both."""

    def __init__(self, slices):
        self.slices = slices

    def prepare(self, writer, array, plain):
        """Functions without arguments that write the region by untorn and by NumPy."""
        part = plain[self.slices]
        self.source = numpy.random.default_rng(part.size).random(part.shape, part.dtype)
        source = self.source
        return writer.region(array, [s.start for s in self.slices], source), lambda: numpy.copyto(
            part, source
        )


def _everywhere(length, size, aligned=0):
    """Places for `size` elements on an axis of `length`, at multiples of `aligned` or at none."""
    random = numpy.random.default_rng(length + size)
    if aligned:
        return [int(p) * aligned for p in random.integers(0, length // aligned, _PLACES)]
    return [int(p) for p in random.integers(0, length - size + 1, _PLACES)]


def box(shape, size, offset=None):
    """Boxes of `size` (0: the whole axis); `offset`: that far from multiples of the size."""
    places = []
    for length, count in zip(shape, size):
        if offset is None or not count:
            places.append(_everywhere(length, count or length))
        else:
            room = length - (count if offset else 0)
            places.append([p + int(count * offset) for p in _everywhere(room, count, count)])
    count = _PLACES if any(len(set(p)) > 1 for p in places) else 1
    for i in range(count):
        yield tuple(slice(p[i], p[i] + (n or s)) for p, n, s in zip(places, size, shape))


def every(shape, *axes):
    """Every 8th along these axes, beginning at different places."""
    for first in range(_STEP):
        yield tuple(
            slice(first if i in axes else None, None, _STEP if i in axes else None)
            for i in range(len(shape))
        )


def into_larger(slices_of, shape):
    """The same regions, each to its own place in an array of the whole shape."""
    larger = numpy.zeros(shape, "f4")
    for slices in slices_of:
        yield Read(slices, larger[slices])


def into_fortran(slices_of):
    """The same regions, to arrays in Fortran's order."""
    for slices in slices_of:
        size = [s.stop - s.start for s in slices]
        yield Read(slices, numpy.empty(size, "f4", order="F"))


def _plain(slices_of):
    return [Read(slices) for slices in slices_of]


def three_axes(shape):
    """(name, Reads) for an array of 64 x 512 x 512."""
    size = (16, 128, 128)
    return [
        ("an element [i, j, k]", _plain(box(shape, (1, 1, 1)))),
        ("a row [i, j, :]", _plain(box(shape, (1, 1, 0)))),
        ("a column [i, :, k]", _plain(box(shape, (1, 0, 1)))),
        ("a column [:, j, k]", _plain(box(shape, (0, 1, 1)))),
        ("a plane [i, :, :]", _plain(box(shape, (1, 0, 0)))),
        ("a plane [:, j, :]", _plain(box(shape, (0, 1, 0)))),
        ("a plane [:, :, k]", _plain(box(shape, (0, 0, 1)))),
        ("a box 16 x 128 x 128, at its multiples", _plain(box(shape, size, 0))),
        ("a box 16 x 128 x 128, half-way between", _plain(box(shape, size, 0.5))),
        ("that box, into part of a larger array", list(into_larger(box(shape, size, 0.5), shape))),
        ("every 8th plane [i::8, :, :]", _plain(every(shape, 0))),
        ("every 8th row [:, j::8, :]", _plain(every(shape, 1))),
        ("every 8th column [:, :, k::8]", _plain(every(shape, 2))),
        ("every 8th along all axes", _plain(every(shape, 0, 1, 2))),
        ("all of it", _plain(box(shape, (0, 0, 0)))),
    ]


def two_axes(shape):
    """(name, Reads) for an array of 4096 x 4096."""
    size = (512, 512)
    return [
        ("an element [i, j]", _plain(box(shape, (1, 1)))),
        ("a row [i, :]", _plain(box(shape, (1, 0)))),
        ("a column [:, j]", _plain(box(shape, (0, 1)))),
        ("64 rows", _plain(box(shape, (64, 0)))),
        ("64 columns", _plain(box(shape, (0, 64)))),
        ("a block 512 x 512, at its multiples", _plain(box(shape, size, 0))),
        ("a block 512 x 512, half-way between", _plain(box(shape, size, 0.5))),
        ("that block, into Fortran's order", list(into_fortran(box(shape, size, 0.5)))),
        ("every 8th row [i::8, :]", _plain(every(shape, 0))),
        ("every 8th column [:, j::8]", _plain(every(shape, 1))),
        ("every 8th along both axes", _plain(every(shape, 0, 1))),
        ("all of it", _plain(box(shape, (0, 0)))),
    ]


def _written(slices_of):
    return [Write(slices) for slices in slices_of]


def three_axes_written(shape):
    """(name, Writes)"""
    size = (16, 128, 128)
    return [
        ("a row [i, j, :]", _written(box(shape, (1, 1, 0)))),
        ("a column [i, :, k]", _written(box(shape, (1, 0, 1)))),
        ("a plane [i, :, :]", _written(box(shape, (1, 0, 0)))),
        ("a plane [:, j, :]", _written(box(shape, (0, 1, 0)))),
        ("a plane [:, :, k]", _written(box(shape, (0, 0, 1)))),
        ("a box 16 x 128 x 128, at its multiples", _written(box(shape, size, 0))),
        ("a box 16 x 128 x 128, half-way between", _written(box(shape, size, 0.5))),
    ]


def two_axes_written(shape):
    """(name, Writes)"""
    size = (512, 512)
    return [
        ("a row [i, :]", _written(box(shape, (1, 0)))),
        ("a column [:, j]", _written(box(shape, (0, 1)))),
        ("64 rows", _written(box(shape, (64, 0)))),
        ("64 columns", _written(box(shape, (0, 64)))),
        ("a block 512 x 512, at its multiples", _written(box(shape, size, 0))),
        ("a block 512 x 512, half-way between", _written(box(shape, size, 0.5))),
    ]
