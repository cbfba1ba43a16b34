# SPDX-License-Identifier: MIT
"""Draws a line plot as SVG.

    plot.py FILE.plot... writes FILE.svg beside each (support/points.h describes the file)

or, imported, draw(plot) where `plot` is what read() returns and a section of the report carries:

    {"title": "...", "x": {"label": "...", "unit": "bytes|ns|...", "scale": "log|linear"}, "y": ...,
     "series": [{"name": "...", "points": [[x, y, low, high], ...], "slope": 0.01}, ...]}

`slope`, of log y on log x, may be missing.  Nothing but the standard library is needed.

Each of up to 64 series looks its own way: eight colours that stay apart for the colour-blind, then
the same with other marks and dashes.  Its spread is drawn as bars, and its name stands in a legend
below, so that no line is ever behind it.  Colours are attributes, which every viewer knows, and
rules of style put others in their place where the reader's surroundings are dark.
"""

import math
import sys
import textwrap
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 440  # without the legend
LEFT, RIGHT, TOP, BOTTOM = 90, 30, 58, 60
LEGEND_LINE = 22
INK, GRID, PAPER = ("#222222", "#e4e4e4"), ("#e4e4e4", "#3a3d42"), ("#ffffff", "#16181b")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#767676", "#222222")
DARK = ("#5b8ff0", "#f2763a", "#2fc49a", "#e6a0c8", "#8fd3ff", "#f3bd42", "#9b9b9b", "#f2f2f2")
DASHES = ("", "7 4", "2 3", "10 3 2 3")
MARKS = ("circle", "square", "triangle", "diamond", "cross", "plus", "down", "bar")
CORNERS = {
    "square": ((-4, -4), (4, -4), (4, 4), (-4, 4)),
    "triangle": ((0, -5), (5, 4), (-5, 4)),
    "down": ((0, 5), (5, -4), (-5, -4)),
    "diamond": ((0, -5.5), (5.5, 0), (0, 5.5), (-5.5, 0)),
    "bar": ((-6, -2), (6, -2), (6, 2), (-6, 2)),
    "plus": (
        *((-1.5, -5), (1.5, -5), (1.5, -1.5), (5, -1.5), (5, 1.5), (1.5, 1.5)),
        *((1.5, 5), (-1.5, 5), (-1.5, 1.5), (-5, 1.5), (-5, -1.5), (-1.5, -1.5)),
    ),
    "cross": (
        *((-4.5, -2.5), (-2.5, -4.5), (0, -2), (2.5, -4.5), (4.5, -2.5), (2, 0)),
        *((4.5, 2.5), (2.5, 4.5), (0, 2), (-2.5, 4.5), (-4.5, 2.5), (-2, 0)),
    ),
}


def _dark_rules():
    rules = [".plot .ink{fill:%s}.plot .axis{stroke:%s}" % (INK[1], INK[1])]
    rules.append(".plot .grid{stroke:%s}.plot .paper{fill:%s}" % (GRID[1], PAPER[1]))
    for i, colour in enumerate(DARK):
        rules.append(".plot .s%d{stroke:%s}.plot .f%d{fill:%s}" % (i, colour, i, colour))
    return "".join(rules)


# For a page that has plots inlined; a file of its own has it inside.
STYLE = "@media (prefers-color-scheme:dark){%s}" % _dark_rules()


class Empty(ValueError):
    """A plot without points: what was to be drawn was left out."""


class Axis:
    """A range of numbers on a range of pixels, and where its ticks are."""

    def __init__(self, form, values, pixels):
        self.label, self.unit = form["label"], form["unit"]
        self.log = form["scale"] == "log"
        self.pixels = pixels
        if self.log and min(values) <= 0:
            raise ValueError("%s: a logarithmic axis has no %g" % (self.label, min(values)))
        self.low, self.high = (self._log_range if self.log else self._linear_range)(values)

    def _log_range(self, values):
        base = self._base()
        low = math.floor(math.log(min(values), base) + 1e-9)
        high = math.ceil(math.log(max(values), base) - 1e-9)
        return float(base) ** low, float(base) ** max(high, low + 1)

    def _linear_range(self, values):
        low, high = min(0, min(values)), max(values)
        step = self._step(low, high)
        low = math.floor(low / step) * step
        return low, max(math.ceil(high / step - 1e-9) * step, low + step)

    def _base(self):
        return 2 if self.unit == "bytes" else 10

    @staticmethod
    def _step(low, high):
        rough = (high - low) / 6 or 1
        unit = 10.0 ** math.floor(math.log10(rough))
        return next(unit * m for m in (1, 2, 2.5, 5, 10, 20) if unit * m >= rough)

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
        return value_text(value, self.unit)


def value_text(value, unit):
    """A number of an axis, with its unit: 64 KiB, 1.5 us, 30 %."""
    if unit == "bytes":
        steps, names = 1024, ("B", "KiB", "MiB", "GiB", "TiB")
    elif unit == "ns":
        steps, names = 1000, ("ns", "us", "ms", "s")
    else:
        text = "%.4g" % value if abs(value) < 1e5 else _power_text(value)
        return "%s %s" % (text, unit) if unit else text
    i = 0
    while abs(value) >= steps and i + 1 < len(names):
        value /= steps
        i += 1
    return "%.4g %s" % (value, names[i]) if value else "0"


def _power_text(value):
    for step, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if step <= abs(value) < step * 1e4:
            return "%.4g%s" % (value / step, name)
    return "%.4g" % value


class Look:
    """How series number i is drawn."""

    def __init__(self, i):
        self.number = i % len(COLOURS)
        turn = i // len(COLOURS)
        self.mark = MARKS[(self.number + 4 * turn) % len(MARKS)]
        self.dash = DASHES[turn % len(DASHES)]

    @property
    def stroke(self):
        return 'class="s%d" stroke="%s"' % (self.number, COLOURS[self.number])

    @property
    def fill(self):
        return 'class="f%d" fill="%s"' % (self.number, COLOURS[self.number])

    @property
    def line(self):
        return self.stroke + (' stroke-dasharray="%s"' % self.dash if self.dash else "")


def mark(look, x, y, title=""):
    inside = "<title>%s</title>" % escape(title) if title else ""
    if look.mark == "circle":
        head = 'circle cx="%.1f" cy="%.1f" r="4"' % (x, y)
    else:
        corners = CORNERS[look.mark]
        points = " ".join("%.1f,%.1f" % (x + dx, y + dy) for dx, dy in corners)
        head = 'polygon points="%s"' % points
    return "<%s %s>%s</%s>" % (head, look.fill, inside, head.split()[0])


def label(x, y, text, anchor="middle", more=""):
    where = 'x="%.1f" y="%.1f" text-anchor="%s"' % (x, y, anchor)
    return '<text class="ink" %s%s>%s</text>' % (where, more, escape(text))


def line(x1, y1, x2, y2, attributes, width=1.0):
    ends = 'x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"' % (x1, y1, x2, y2)
    return '<line %s %s stroke-width="%g"/>' % (ends, attributes, width)


def draw_axes(x, y):
    out = []
    left, right = x.pixels
    bottom, top = y.pixels
    grid = 'class="grid" stroke="%s"' % GRID[0]
    axis = 'class="axis" stroke="%s"' % INK[0]
    for value in x.ticks():
        at = x.at(value)
        out.append(line(at, bottom, at, top, grid))
        out.append(label(at, bottom + 18, x.text(value)))
    for value in y.ticks():
        at = y.at(value)
        out.append(line(left, at, right, at, grid))
        out.append(label(left - 8, at + 4, y.text(value), "end"))
    out.append(line(left, bottom, right, bottom, axis))
    out.append(line(left, bottom, left, top, axis))
    out.append(label((left + right) / 2, bottom + 42, x.label))
    middle = (top + bottom) / 2
    out.append(label(18, middle, y.label, more=' transform="rotate(-90 18 %.1f)"' % middle))
    return out


def draw_series(one, x, y, look):
    points = sorted(spread_of(p) for p in one["points"])
    places = [(x.at(p[0]), y.at(p[1])) for p in points]
    path = " ".join("%.1f,%.1f" % place for place in places)
    out = ['<polyline points="%s" fill="none" stroke-width="2" %s/>' % (path, look.line)]
    for (at, height), (along, value, low, high) in zip(places, points):
        if high > low:
            out.append(line(at, y.at(low), at, y.at(high), look.stroke, 1.5))
        said = "%s: %s, %s" % (one["name"], x.text(along), y.text(value))
        if high > low:
            said += " (%s to %s)" % (y.text(low), y.text(high))
        out.append(mark(look, at, height, said))
    return out


def spread_of(point):
    """[x, y] or [x, y, low, high] as the latter."""
    return list(point) if len(point) == 4 else [point[0], point[1], point[1], point[1]]


def legend_text(one):
    slope = one.get("slope")
    return one["name"] if slope is None else "%s (slope %.3f)" % (one["name"], slope)


def legend_size(series):
    """Columns and lines.  Long names need the whole width."""
    columns = 2 if len(series) > 4 and all(len(legend_text(s)) <= 44 for s in series) else 1
    return columns, math.ceil(len(series) / columns)


def draw_legend(series):
    out = []
    columns, lines = legend_size(series)
    for i, one in enumerate(series):
        left = LEFT + (i // lines) * (WIDTH - LEFT) / columns
        at = HEIGHT + LEGEND_LINE * (i % lines) + 8
        look = Look(i)
        out.append(line(left, at, left + 34, at, look.line, 2))
        out.append(mark(look, left + 17, at))
        out.append(label(left + 44, at + 4, legend_text(one), "start"))
    return out


def draw_title(title):
    lines = textwrap.wrap(title, 88)[:2] or [""]
    size = ' font-size="16"'
    first = 26 if len(lines) == 1 else 20
    return [label(WIDTH / 2, first + 20 * i, text, more=size) for i, text in enumerate(lines)]


def draw(plot, inline=False):
    """The plot as the text of an SVG file; `inline`: for a page that has STYLE itself."""
    series = plot["series"]
    points = [spread_of(p) for one in series for p in one["points"]]
    if not points:
        raise Empty("%s: there are no points" % plot["title"])
    x = Axis(plot["x"], [p[0] for p in points], (LEFT, WIDTH - RIGHT))
    y = Axis(plot["y"], [v for p in points for v in p[1:]], (HEIGHT - BOTTOM, TOP))
    height = HEIGHT + LEGEND_LINE * legend_size(series)[1] + 10
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" class="plot" role="img" viewBox="0 0 %d %d" '
        'width="%d" height="%d" font-family="sans-serif" font-size="13" fill="%s">'
        % (WIDTH, height, WIDTH, height, INK[0]),
        "<title>%s</title>" % escape(plot["title"]),
        "" if inline else "<style>%s</style>" % STYLE,
        '<rect class="paper" width="%d" height="%d" fill="%s"/>' % (WIDTH, height, PAPER[0]),
    ]
    out += draw_title(plot["title"]) + draw_axes(x, y)
    for i, one in reversed(list(enumerate(series))):  # the first is on top of the others
        out += draw_series(one, x, y, Look(i))
    out += draw_legend(series) + ["</svg>"]
    return "\n".join(text for text in out if text) + "\n"


def read(path):
    """A .plot file as the `plot` that draw() takes."""
    plot, series = {"title": ""}, {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for text in file:
            what, *fields = text.rstrip("\n").split("\t")
            if what == "title":
                plot["title"] = fields[0]
            elif what in ("x", "y"):
                plot[what] = dict(zip(("label", "unit", "scale"), fields))
            elif what in ("point", "slope"):
                one = series.setdefault(fields[0], {"name": fields[0], "points": []})
                numbers = [float(f) for f in fields[1:]]
                if what == "point":
                    one["points"].append(numbers)
                else:
                    one["slope"] = numbers[0]
            else:
                raise ValueError("%s: no line of a plot begins with %r" % (path, what))
    if not any(one["points"] for one in series.values()):
        raise Empty("%s: there are no points in it" % path)
    plot["series"] = list(series.values())
    return plot


def main(paths):
    for path in paths:
        svg = draw(read(path))
        with open(path.removesuffix(".plot") + ".svg", "w", encoding="utf-8") as file:
            file.write(svg)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: plot.py FILE.plot...")
    main(sys.argv[1:])
