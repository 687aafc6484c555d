"""The charts: pure functions from figures to SVG strings.

scatter       points with 95% crosses, joined by arrows: the frontier of helpfulness and harmlessness
lines         series with 95% bands, labelled at their ends
trace         a noisy series and its running mean
trail         one quantity against another, step by step
reliability   confidence against accuracy, with the number of pairs below
whiskers      estimates with intervals, one a row
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from charter.report.measures import Bin
from charter.report.scales import Box, Scale, fraction_ticks, line_boxes, nice_ticks, place_labels, spread, tick_text
from charter.report.svg import FONT, Frame, Point, arrow, document, frame, line, mark, polygon, polyline, text
from charter.report.wording import Interval, number, percent, percent_interval


@dataclass(frozen=True)
class Dot:
    """A point of `scatter`, in fractions. `kind` is the colour's class, `shape` the mark's; dots of one `path` are
    joined in their order, together with the dots whose path is empty, which belong to every path."""

    label: str
    x: float
    y: float
    x_interval: Interval | None = None
    y_interval: Interval | None = None
    kind: str = "method"
    shape: str = "circle"
    path: str = "method"


@dataclass(frozen=True)
class Series:
    """A line of `lines`; `intervals` go with `ys`, None where there is none."""

    name: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    intervals: tuple[Interval | None, ...]
    kind: str = "method"


def _cross(area: Frame, dot: Dot) -> list[tuple[Point, Point]]:
    arms = []
    if dot.x_interval:
        arms.append((area.at(dot.x_interval[0], dot.y), area.at(dot.x_interval[1], dot.y)))
    if dot.y_interval:
        arms.append((area.at(dot.x, dot.y_interval[0]), area.at(dot.x, dot.y_interval[1])))
    return arms


def scatter(dots: Sequence[Dot], x_title: str, y_title: str, title: str, size: Point = (720, 520)) -> str:
    """Points with crosses of their intervals, labelled directly, each path drawn with arrows. Axes are percentages."""
    xs = [v for dot in dots for v in (dot.x, *(dot.x_interval or ()))]
    ys = [v for dot in dots for v in (dot.y, *(dot.y_interval or ()))]
    x_ticks, y_ticks = fraction_ticks(xs), fraction_ticks(ys)
    area = frame(size, x_ticks, y_ticks, x_title, y_title, x_percent=True, y_percent=True)
    places = [area.at(dot.x, dot.y) for dot in dots]
    parts, obstacles = list(area.parts), []
    for dot in dots:
        for start, end in _cross(area, dot):
            parts.append(line(*start, *end, f"cross {dot.kind}"))
            obstacles += list(line_boxes((start, end), 0.25))
    for path in dict.fromkeys(dot.path for dot in dots if dot.path):
        stops = [place for dot, place in zip(dots, places, strict=True) if dot.path == path or not dot.path]
        obstacles += list(line_boxes(stops, 0.5))
        parts += [arrow(a, b, path) for a, b in pairwise(stops)]
    bounds = Box(area.plot.left + 2, 20, area.width - 2, area.plot.bottom - 2)
    anchors = [(*place, dot.label) for dot, place in zip(dots, places, strict=True)]
    order = sorted(range(len(dots)), key=lambda i: dots[i].kind == "direct")
    labels = place_labels([anchors[i] for i in order], obstacles, bounds, FONT)
    for label in labels:
        if label.leader:
            near_x = min(max(label.x, label.box.left), label.box.right)
            near_y = min(max(label.y, label.box.top), label.box.bottom)
            parts.append(line(label.x, label.y, near_x, near_y, "leader"))
    for dot, (x, y) in zip(dots, places, strict=True):
        tip = f"{dot.label}: {x_title} {percent(dot.x)} ({percent_interval(dot.x_interval)}), "
        tip += f"{y_title} {percent(dot.y)} ({percent_interval(dot.y_interval)})"
        parts.append(mark(dot.shape, x, y, dot.kind, tip=tip.replace(" ()", "")))
    for index, label in zip(order, labels, strict=True):
        dot = dots[index]
        strong = " strong" if dot.shape != "circle" or dot.kind == "before" else ""
        middle = (label.box.left + label.box.right) / 2
        parts.append(text(middle, label.box.bottom - FONT * 0.28, dot.label, f"label {dot.kind}{strong}", "middle"))
    return document(size, title, parts)


def _band(area: Frame, series: Series) -> str:
    known = [(x, i) for x, i in zip(series.xs, series.intervals, strict=True) if i is not None]
    if len(known) < 2:
        return ""
    upper = [area.at(x, bounds[1]) for x, bounds in known]
    lower = [area.at(x, bounds[0]) for x, bounds in reversed(known)]
    return polygon(upper + lower, f"band {series.kind}")


def lines(series: Sequence[Series], x_title: str, y_title: str, title: str, size: Point = (720, 380)) -> str:
    """Fractions over whole steps, each series with its 95% band and its name at its end."""
    xs = [x for one in series for x in one.xs]
    ys = [v for one in series for y, i in zip(one.ys, one.intervals, strict=True) for v in (y, *(i or ()))]
    x_ticks = tuple(float(x) for x in range(int(min(xs)), int(max(xs)) + 1)) or (0.0,)
    room = max(len(one.name) for one in series) * FONT * 0.6 + 20
    area = frame(size, x_ticks, fraction_ticks(ys), x_title, y_title, y_percent=True, right=room)
    parts = [*area.parts, *(_band(area, one) for one in series)]
    for one in series:
        stops = [area.at(x, y) for x, y in zip(one.xs, one.ys, strict=True)]
        parts.append(polyline(stops, f"line {one.kind}"))
        for (x, y), value, bounds in zip(stops, one.ys, one.intervals, strict=True):
            tip = f"{one.name}: {percent(value)} ({percent_interval(bounds)})".replace(" ()", "")
            parts.append(mark("circle", x, y, one.kind, 4, tip))
    ends = spread([area.y(one.ys[-1]) for one in series], FONT * 1.3, 30, area.plot.bottom)
    for one, y in zip(series, ends, strict=True):
        parts.append(text(area.x(one.xs[-1]) + 10, y + 4.5, one.name, f"label strong {one.kind}"))
    return document(size, title, parts)


def running_mean(values: Sequence[float], span: int) -> tuple[float, ...]:
    """The mean of the `span` values around each value, fewer at the ends."""
    half = span // 2
    windows = (values[max(0, i - half) : i + half + 1] for i in range(len(values)))
    return tuple(sum(window) / len(window) for window in windows)


def trace(steps: Sequence[float], values: Sequence[float], y_title: str, title: str, size: Point = (360, 280)) -> str:
    """A noisy series over steps, thin, and its running mean, bold."""
    area = frame(size, nice_ticks(steps[0], steps[-1], 4), nice_ticks(min(values), max(values), 4), "step", y_title)
    smooth = running_mean(values, max(1, len(values) // 12))
    raw = polyline([area.at(x, y) for x, y in zip(steps, values, strict=True)], "thin method")
    bold = polyline([area.at(x, y) for x, y in zip(steps, smooth, strict=True)], "line method")
    return document(size, title, [*area.parts, raw, bold])


def trail(
    xs: Sequence[float], ys: Sequence[float], x_title: str, y_title: str, title: str, size: Point = (360, 280)
) -> str:
    """One quantity against another, a dot for each step, the running mean as a line from `start` to `end`."""
    area = frame(size, nice_ticks(min(xs), max(xs), 4), nice_ticks(min(ys), max(ys), 4), x_title, y_title)
    span = max(1, len(xs) // 12)
    stops = [area.at(x, y) for x, y in zip(running_mean(xs, span), running_mean(ys, span), strict=True)]
    parts = [*area.parts, *(mark("circle", *area.at(x, y), "faint", 2) for x, y in zip(xs, ys, strict=True))]
    parts += [
        polyline(stops, "line method"),
        mark("circle", *stops[0], "before", 4.5),
        mark("circle", *stops[-1], "method", 4.5),
    ]
    ends = [(*stops[0], "start"), (*stops[-1], "end")]
    obstacles = [*line_boxes(stops, 1.0)]
    for label, kind in zip(place_labels(ends, obstacles, area.plot, FONT), ("before", "method"), strict=True):
        middle = (label.box.left + label.box.right) / 2
        parts.append(text(middle, label.box.bottom - FONT * 0.28, label.text, f"label strong {kind}", "middle"))
    return document(size, title, parts)


def reliability(bins: Sequence[Bin], title: str, size: Point = (360, 380)) -> str:
    """Accuracy over confidence with the line of perfect calibration, and bars of how many pairs each bin has."""
    width, height = size
    bars_height = 64.0
    ys = [v for one in bins for v in (one.accuracy, one.confidence, *one.interval)]
    x_ticks = fraction_ticks([*(one.confidence for one in bins), 0.5, 1.0])
    top = frame(
        (width, height - bars_height),
        x_ticks,
        fraction_ticks([*ys, 0.5, 1.0]),
        "",
        "Right",
        x_percent=True,
        y_percent=True,
    )
    low = max(top.x.low, top.y.low)
    parts = [*top.parts, line(*top.at(low, low), *top.at(1, 1), "ideal")]
    parts += [
        line(*top.at(b.confidence, b.interval[0]), *top.at(b.confidence, b.interval[1]), "cross method") for b in bins
    ]
    parts.append(polyline([top.at(b.confidence, b.accuracy) for b in bins], "line method"))
    most = max(one.n for one in bins)
    floor, ceiling = height - 24, height - bars_height + 4
    bar = Scale(0, most, floor, ceiling)
    each = min(22.0, (top.x.end - top.x.start) / max(1, len(bins)) * 0.7)
    for one in bins:
        x, y = top.at(one.confidence, one.accuracy)
        tip = f"said {percent(one.confidence)}, right {percent(one.accuracy)} of {number(one.n)} pairs"
        parts.append(mark("circle", x, y, "method", 4, tip))
        corners = ((x - each / 2, floor), (x - each / 2, bar(one.n)), (x + each / 2, bar(one.n)), (x + each / 2, floor))
        parts.append(polygon(corners, "bar"))
    parts += [line(top.x.start, floor, top.x.end, floor, "rule"), text(top.x.start - 8, floor, "0", "tick", "end")]
    parts.append(text(top.x.start - 8, ceiling + 9, number(most), "tick", "end"))
    parts += [text(0, ceiling - 8, "Pairs", "axis"), text(top.x.end, height - 6, "Confidence", "axis", "end")]
    return document(size, title, parts)


@dataclass(frozen=True)
class Whisker:
    """A row of `whiskers`."""

    name: str
    value: float
    interval: Interval | None = None
    kind: str = "method"
    shape: str = "circle"


def whiskers(rows: Sequence[Whisker], x_title: str, title: str, size: Point = (360, 180)) -> str:
    """Estimates with their intervals, one row each, on one axis."""
    width, height = size
    values = [v for row in rows for v in (row.value, *(row.interval or ()))]
    ticks = nice_ticks(min(values), max(values), 4)
    left = max(len(row.name) for row in rows) * FONT * 0.58 + 12
    x = Scale(ticks[0], ticks[-1], left, width - 18)
    floor, parts = height - 46, []
    for value, words in zip(ticks, tick_text(ticks), strict=True):
        parts += [line(x(value), 6, x(value), floor, "grid"), text(x(value), floor + 18, words, "tick", "middle")]
    parts += [line(left, floor, width - 18, floor, "rule"), text(width - 18, height - 6, x_title, "axis", "end")]
    for index, row in enumerate(rows):
        y = 6 + (floor - 6) * (index + 0.5) / len(rows)
        parts.append(text(0, y + 4.5, row.name, f"label strong {row.kind}"))
        if row.interval:
            parts.append(line(x(row.interval[0]), y, x(row.interval[1]), y, f"cross thick {row.kind}"))
            tip = f"{row.name}: {number(round(row.value))} ({row.interval[0]:.0f} to {row.interval[1]:.0f})"
        else:
            tip = f"{row.name}: {number(round(row.value))}"
        parts.append(mark(row.shape, x(row.value), y, row.kind, tip=tip))
    return document(size, title, parts)
