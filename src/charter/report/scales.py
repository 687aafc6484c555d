"""The geometry of charts: round ticks, linear scales, and labels that keep clear of the marks and of one another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise


def nice_ticks(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Round numbers (1, 2, 2.5 or 5 times a power of ten apart) that cover [low, high] with about `about` intervals."""
    if not high > low:
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(i * step, 12) + 0.0 for i in range(first, last + 1))


def fraction_ticks(values: Sequence[float], about: int = 5) -> tuple[float, ...]:
    """Ticks for fractions: they cover the values and stay inside [0, 1]."""
    low, high = max(0.0, min(values)), min(1.0, max(values))
    if high - low < 0.05:
        low, high = max(0.0, low - 0.03), min(1.0, high + 0.03)
    return tuple(tick for tick in nice_ticks(low, high, about) if -1e-9 <= tick <= 1 + 1e-9)


def tick_text(ticks: Sequence[float], as_percent: bool = False) -> tuple[str, ...]:
    """The ticks in as few digits as tell them apart, with a true minus sign."""
    shown = [tick * 100 for tick in ticks] if as_percent else list(ticks)
    step = min((b - a for a, b in pairwise(shown)), default=1.0)
    digits = next((d for d in range(7) if abs(step * 10**d - round(step * 10**d)) < 1e-6 * max(1.0, step * 10**d)), 6)
    mark = "%" if as_percent else ""
    return tuple(f"{value:,.{digits}f}{mark}".replace("-", "−") for value in shown)


@dataclass(frozen=True)
class Scale:
    """A linear map from [low, high] of the data to [start, end] in pixels (start > end for a vertical axis)."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Pixels of a value; values outside are kept at the edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; `weight` is how much a label should avoid it."""

    left: float
    top: float
    right: float
    bottom: float
    weight: float = 1.0

    def overlap(self, other: Box) -> float:
        """The common area."""
        if self.right <= other.left or other.right <= self.left or self.bottom <= other.top or other.bottom <= self.top:
            return 0.0  # nearly all pairs, without the work below
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return width * height

    def outside(self, bounds: Box) -> float:
        """By how many pixels it leaves `bounds`."""
        return (
            max(0.0, bounds.left - self.left)
            + max(0.0, self.right - bounds.right)
            + max(0.0, bounds.top - self.top)
            + max(0.0, self.bottom - bounds.bottom)
        )


def text_width(text: str, size: float) -> float:
    """About how wide a text is in a sans-serif of that size, on the generous side."""
    return sum(0.36 if letter in "iljtfrI.,:;'|()[] " else 0.62 for letter in text) * size


@dataclass(frozen=True)
class Label:
    """A placed label: its box, the point it belongs to, and whether it stands so far away that it needs a line."""

    text: str
    box: Box
    x: float
    y: float
    leader: bool


def line_boxes(points: Sequence[tuple[float, float]], weight: float, every: float = 10.0) -> Iterable[Box]:
    """Small boxes along a polyline, for labels to avoid."""
    for (x0, y0), (x1, y1) in pairwise(points):
        steps = max(1, int(math.hypot(x1 - x0, y1 - y0) / every))
        for i in range(steps + 1):
            x, y = x0 + (x1 - x0) * i / steps, y0 + (y1 - y0) * i / steps
            yield Box(x - 2.5, y - 2.5, x + 2.5, y + 2.5, weight)


def _candidates(x: float, y: float, width: float, height: float) -> Iterable[tuple[float, Box]]:
    for distance in (8.0, 13.0, 20.0, 30.0, 42.0, 56.0, 72.0, 90.0):
        for turn in range(16):
            angle = turn * math.pi / 8
            middle_x = x + math.cos(angle) * (distance + width / 2)
            middle_y = y + math.sin(angle) * (distance + height / 2)
            box = Box(middle_x - width / 2, middle_y - height / 2, middle_x + width / 2, middle_y + height / 2)
            sideways = 0.0 if turn in (0, 8) else 1.0
            yield distance + sideways, box


def place_labels(
    anchors: Sequence[tuple[float, float, str]], obstacles: Sequence[Box], bounds: Box, size: float = 13.0
) -> tuple[Label, ...]:
    """Place a label beside each (x, y, text): near its point, inside `bounds`, off the obstacles and off other labels.
    Greedy in the given order, then each label is placed anew against the others until nothing moves."""
    marks = [Box(x - 6, y - 6, x + 6, y + 6, 3.0) for x, y, _ in anchors]

    def cost(distance: float, box: Box) -> float:
        covered = sum(thing.weight * box.overlap(thing) for things in (marks, obstacles) for thing in things)
        return distance + 50 * box.outside(bounds) + covered

    choices = [
        [
            (cost(distance, box), distance, box)
            for distance, box in _candidates(x, y, text_width(text, size), size * 1.2)
        ]
        for x, y, text in anchors
    ]
    best: list[tuple[float, Box] | None] = [None] * len(anchors)
    for _ in range(4):
        before = list(best)
        for index, options in enumerate(choices):
            others = [placed[1] for i, placed in enumerate(best) if placed is not None and i != index]
            _, distance, box = min(options, key=lambda o: o[0] + 4.0 * sum(o[2].overlap(other) for other in others))
            best[index] = (distance, box)
        if best == before:
            break
    return tuple(
        Label(text, placed[1], x, y, leader=placed[0] > 16)
        for (x, y, text), placed in zip(anchors, best, strict=True)
        if placed is not None
    )


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> tuple[float, ...]:
    """Move positions on one axis as little as needed so that neighbours are `gap` apart, inside [low, high] if
    they fit."""
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    moved = [min(max(positions[i], low), high) for i in order]
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + gap)
    if moved and moved[-1] > high:
        moved[-1] = high
        for i in range(len(moved) - 2, -1, -1):
            moved[i] = min(moved[i], moved[i + 1] - gap)
    result = [0.0] * len(positions)
    for i, position in zip(order, moved, strict=True):
        result[i] = position
    return tuple(result)
