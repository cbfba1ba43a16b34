# SPDX-License-Identifier: MIT
"""Draws a line plot as SVG, from the points that support/points.h describes.

    plot.py FILE.plot... writes FILE.svg beside each

Nothing but the standard library is needed.  Axes are linear or logarithmic.  Each series has a
colour and a mark of its own (colours that stay apart for the colour-blind), bars for its spread,
and its name in the legend below, so that no line is ever behind it.
"""

import math
import sys
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 440  # without the legend
LEFT, RIGHT, TOP, BOTTOM = 90, 30, 50, 60
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#555555", "#000000")
MARKS = ("circle", "square", "triangle", "diamond")


class Axis:
    """A range of numbers on a range of pixels, and where its ticks are."""

    def __init__(self, label, unit, kind, values, pixels):
        self.label, self.unit, self.log = label, unit, kind == "log"
        self.pixels = pixels
        if self.log and min(values) <= 0:
            raise ValueError("%s: a logarithmic axis has no %g" % (label, min(values)))
        self.low, self.high = (self._log_range if self.log else self._linear_range)(values)

    def _log_range(self, values):
        base = self._base()
        low = math.floor(math.log(min(values), base) + 1e-9)
        high = math.ceil(math.log(max(values), base) - 1e-9)
        return base**low, base ** max(high, low + 1)

    def _linear_range(self, values):
        low, high = min(0, min(values)), max(values)
        step = self._step(low, high)
        return math.floor(low / step) * step, math.ceil(high / step - 1e-9) * step

    def _base(self):
        return 2 if self.unit == "bytes" else 10

    @staticmethod
    def _step(low, high):
        rough = (high - low) / 6 or 1
        unit = 10 ** math.floor(math.log10(rough))
        return next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= rough)

    def at(self, value):
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        first, last = self.pixels
        return first + share * (last - first)

    def ticks(self):
        if not self.log:
            step = self._step(self.low, self.high)
            count = int(round((self.high - self.low) / step))
            return [self.low + i * step for i in range(count + 1)]
        base = self._base()
        count = int(round(math.log(self.high / self.low, base)))
        if base == 10 and count <= 2:
            between = [self.low * 10**i * m for i in range(count) for m in (1, 2, 5)]
            return between + [self.high]
        every = max(1, math.ceil(count / 8))
        return [self.low * base**i for i in range(0, count + 1, every)]

    def text(self, value):
        if self.unit == "bytes":
            steps, names = 1024, ("B", "KiB", "MiB", "GiB", "TiB")
        elif self.unit == "ns":
            steps, names = 1000, ("ns", "µs", "ms", "s")
        else:
            return "%g %s" % (value, self.unit) if self.unit else "%g" % value
        i = 0
        while abs(value) >= steps and i + 1 < len(names):
            value /= steps
            i += 1
        return "%g %s" % (value, names[i]) if value else "0"


def mark(kind, x, y, colour):
    if kind == "circle":
        return '<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>' % (x, y, colour)
    corners = {
        "square": ((-4, -4), (4, -4), (4, 4), (-4, 4)),
        "triangle": ((0, -5), (5, 4), (-5, 4)),
        "diamond": ((0, -5.5), (5.5, 0), (0, 5.5), (-5.5, 0)),
    }[kind]
    points = " ".join("%.1f,%.1f" % (x + dx, y + dy) for dx, dy in corners)
    return '<polygon points="%s" fill="%s"/>' % (points, colour)


def label(x, y, text, anchor="middle", more=""):
    return '<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>' % (
        x,
        y,
        anchor,
        more,
        escape(text),
    )


def line(x1, y1, x2, y2, colour, width=1.0):
    return '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%g"/>' % (
        x1,
        y1,
        x2,
        y2,
        colour,
        width,
    )


def draw_axes(x, y):
    out = []
    left, right = x.pixels
    bottom, top = y.pixels
    for value in x.ticks():
        at = x.at(value)
        out.append(line(at, bottom, at, top, "#e4e4e4"))
        out.append(label(at, bottom + 18, x.text(value)))
    for value in y.ticks():
        at = y.at(value)
        out.append(line(left, at, right, at, "#e4e4e4"))
        out.append(label(left - 8, at + 4, y.text(value), "end"))
    out.append(line(left, bottom, right, bottom, "#333333"))
    out.append(line(left, bottom, left, top, "#333333"))
    out.append(label((left + right) / 2, bottom + 42, x.label))
    middle = (top + bottom) / 2
    out.append(label(18, middle, y.label, more=' transform="rotate(-90 18 %.1f)"' % middle))
    return out


def draw_series(points, x, y, colour, kind):
    out = []
    places = [(x.at(p[0]), y.at(p[1])) for p in points]
    path = " ".join("%.1f,%.1f" % place for place in places)
    out.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>' % (path, colour))
    for (at, height), (_, _, low, high) in zip(places, points):
        if high > low:
            out.append(line(at, y.at(low), at, y.at(high), colour, 1.5))
        out.append(mark(kind, at, height, colour))
    return out


def read(path):
    title, axes, series = "", {}, {}
    with open(path, encoding="utf-8") as file:
        for text in file:
            what, *fields = text.rstrip("\n").split("\t")
            if what == "title":
                title = fields[0]
            elif what in ("x", "y"):
                axes[what] = fields
            elif what == "point":
                series.setdefault(fields[0], []).append([float(f) for f in fields[1:]])
            else:
                raise ValueError("%s: no line of a plot begins with %r" % (path, what))
    if not series:
        raise ValueError("%s: there are no points in it" % path)
    return title, axes, series


def draw(title, axes, series):
    """The plot as the text of an SVG file."""
    points = [p for some in series.values() for p in some]
    x = Axis(*axes["x"], [p[0] for p in points], (LEFT, WIDTH - RIGHT))
    y = Axis(*axes["y"], [v for p in points for v in p[1:]], (HEIGHT - BOTTOM, TOP))
    height = HEIGHT + 22 * len(series) + 10
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" '
        'font-family="sans-serif" font-size="13" fill="#222222">' % (WIDTH, height, WIDTH, height),
        "<title>%s</title>" % escape(title),
        '<rect width="%d" height="%d" fill="#ffffff"/>' % (WIDTH, height),
        label(WIDTH / 2, 26, title, more=' font-size="16"'),
    ]
    out += draw_axes(x, y)
    for i, (name, some) in enumerate(series.items()):
        colour, kind = COLOURS[i % len(COLOURS)], MARKS[i % len(MARKS)]
        out += draw_series(sorted(some), x, y, colour, kind)
        at = HEIGHT + 22 * i + 8
        out.append(line(LEFT, at, LEFT + 34, at, colour, 2))
        out.append(mark(kind, LEFT + 17, at, colour))
        out.append(label(LEFT + 44, at + 4, name, "start"))
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main(paths):
    for path in paths:
        svg = draw(*read(path))
        with open(path.removesuffix(".plot") + ".svg", "w", encoding="utf-8") as file:
            file.write(svg)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: plot.py FILE.plot...")
    main(sys.argv[1:])
