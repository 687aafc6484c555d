from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.report import charts, scales
from charter.report.charts import Dot, Series, Whisker
from charter.report.measures import Bin
from charter.report.scales import Box


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1)), (0.83, 0.97, (0.8, 0.85, 0.9, 0.95, 1.0)), (3, 3, None)],
)
def test_ticks_are_round_and_cover_the_data(low: float, high: float, ticks: tuple[float, ...] | None) -> None:
    found = scales.nice_ticks(low, high)
    assert found[0] <= low <= high <= found[-1]
    if ticks:
        assert found == pytest.approx(ticks)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
@settings(max_examples=60, deadline=None)
def test_any_range_has_few_evenly_spaced_ticks(low: float, width: float) -> None:
    found = scales.nice_ticks(low, low + width)
    assert 3 <= len(found) <= 9
    assert np.ptp(np.diff(found)) <= 1e-6 * max(abs(low), width)
    assert found[0] <= low + 1e-6 * width
    assert found[-1] >= low + width * (1 - 1e-6)


def test_fractions_stay_between_nothing_and_all() -> None:
    assert scales.fraction_ticks([0.01, 0.999])[0] == 0
    assert scales.fraction_ticks([0.01, 0.999])[-1] == 1
    assert len(scales.fraction_ticks([1.0, 1.0])) >= 2


def test_tick_texts_have_the_digits_that_tell_them_apart() -> None:
    assert scales.tick_text((0.0, 0.5, 1.0), as_percent=True) == ("0%", "50%", "100%")
    assert scales.tick_text((0.875, 0.9, 0.925), as_percent=True) == ("87.5%", "90.0%", "92.5%")
    assert scales.tick_text((-1000.0, 0.0)) == ("−1,000", "0")


def test_scale_maps_and_keeps_to_its_edge() -> None:
    scale = scales.Scale(0, 10, 100, 0)
    assert [scale(0), scale(5), scale(10), scale(99)] == [100, 50, 0, 0]


@pytest.mark.parametrize("gap", [0.0, 3.0, 9.0, 25.0])
def test_labels_do_not_collide(gap: float) -> None:
    anchors = [(200 + gap * (i % 3), 150 + gap * i / 2, f"revision {i}") for i in range(8)]
    bounds = Box(0, 0, 500, 400)
    labels = scales.place_labels(anchors, [], bounds)
    assert all(a.box.overlap(b.box) == 0 for a, b in itertools.combinations(labels, 2))
    assert all(label.box.outside(bounds) == 0 for label in labels)


def test_positions_are_spread_in_their_order() -> None:
    assert scales.spread([10, 12, 40], 8, 0, 100) == (10, 18, 40)
    assert scales.spread([99, 98], 8, 0, 100) == (100, 92)


def parsed(svg: str) -> ET.Element:
    """The chart as XML, with a title, and with no coordinate that is not a number."""
    root = ET.fromstring(svg)
    assert root.find("title") is not None
    assert root.get("role") == "img"
    assert not re.search(r"nan|inf", re.sub(r"<title>.*?</title>|aria-label=\"[^\"]*\"", "", svg))
    return root


def texts(root: ET.Element) -> list[str]:
    return [node.text or "" for node in root.iter("text")]


DOTS = [
    Dot("Helpful-only", 0.9, 0.01, (0.87, 0.93), (0.0, 0.03), "before", path=""),
    Dot("revision 1", 0.89, 0.58, (0.85, 0.92), (0.52, 0.63)),
    Dot("RL-CAI", 0.94, 0.99, (0.91, 0.97), (0.98, 1.0), shape="diamond"),
    Dot("direct 1", 0.88, 0.5, None, None, "direct", path="direct"),
]


@pytest.mark.parametrize("size", [(720, 560), (344, 460)])
def test_scatter_has_every_point_cross_and_arrow(size: tuple[float, float]) -> None:
    root = parsed(charts.scatter(DOTS, "Helpful", "Harmless", "Frontier", size))
    classes = [node.get("class", "") for node in root.iter()]
    assert sum(name.startswith("mark") for name in classes) == 4
    assert sum(name.startswith("cross") for name in classes) == 6
    assert classes.count("head method") == 2
    assert classes.count("head direct") == 1
    assert {"Helpful-only", "revision 1", "RL-CAI", "direct 1"} <= set(texts(root))
    for node in root.iter("circle"):
        assert 0 <= float(node.attrib["cx"]) <= size[0]
        assert 0 <= float(node.attrib["cy"]) <= size[1]


def test_scatter_of_points_that_coincide() -> None:
    parsed(charts.scatter([Dot(str(i), 1.0, 1.0) for i in range(6)], "x", "y", "t"))


def test_charts_escape_their_texts() -> None:
    svg = charts.scatter([Dot('<script>"&', 0.1, 0.2), Dot("b", 0.3, 0.4)], "x", "y", "<b>")
    assert "<script>" not in svg
    assert '<script>"&' in texts(parsed(svg))


def test_lines_draw_a_band_only_where_intervals_are() -> None:
    xs, ys = (0.0, 1.0, 2.0), (0.1, 0.5, 0.6)
    known = Series("critiqued", xs, ys, ((0.0, 0.2), (0.4, 0.6), (0.5, 0.7)))
    unknown = Series("direct", xs, ys, (None, None, None), "direct")
    root = parsed(charts.lines([known, unknown], "round", "Harmless", "t"))
    assert [node.get("class") for node in root.iter("polygon")] == ["band method"]
    ends = [float(node.attrib["y"]) for node in root.iter("text") if node.text in ("critiqued", "direct")]
    assert abs(ends[0] - ends[1]) > 13


def test_running_mean() -> None:
    assert charts.running_mean([1, 2, 3, 4], 1) == (1, 2, 3, 4)
    assert charts.running_mean([1, 2, 3, 4], 3) == (1.5, 2, 3, 3.5)


def test_constant_training_curves_are_drawn() -> None:
    parsed(charts.trace([0, 1, 2], [0.0, 0.0, 0.0], "Reward", "t"))
    parsed(charts.trail([0.0, 0.0], [1.0, 1.0], "√KL", "Reward", "t"))


def test_reliability_and_whiskers() -> None:
    root = parsed(charts.reliability([Bin(0.55, 0.4, 10, (0.2, 0.6)), Bin(0.95, 1.0, 90, (0.96, 1.0))], "t"))
    bars = [node for node in root.iter("polygon") if node.get("class") == "bar"]
    heights = [np.ptp([float(p.split(",")[1]) for p in bar.attrib["points"].split()]) for bar in bars]
    assert heights[0] / heights[1] == pytest.approx(10 / 90, abs=0.02)
    root = parsed(charts.whiskers([Whisker("SL-CAI", 0.0, (0.0, 0.0)), Whisker("RL-CAI", 120.0)], "Elo", "t"))
    assert {"SL-CAI", "RL-CAI"} <= set(texts(root))
