from __future__ import annotations

import pytest

from charter.report import wording


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"), (0.0, "0%"), (1.0, "100%"), (0.954, "95%"), (0.997, "99.7%"), (0.9999, ">99.9%"),
        (0.00004, "<0.1%"), (0.004, "0.4%"), (-0.25, "−25%"),
    ],
)  # fmt: skip
def test_percent_never_claims_more_than_it_knows(value: float | None, words: str) -> None:
    assert wording.percent(value) == words


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (None, ""),
        ((0.93, 0.97), "93–97"),
        ((0.002, 0.031), "0.2–3"),
        ((0.98, 1.0), "98–100"),
        ((-0.02, 0.05), "−2 to 5"),
    ],
)
def test_intervals(bounds: tuple[float, float] | None, words: str) -> None:
    assert wording.percent_interval(bounds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"),
        (True, "yes"),
        (123456, "123,456"),
        (0.12345, "0.123"),
        (-2.5, "−2.5"),
        ("many", "many"),
        (1e-5, "1.0e−05"),
    ],
)
def test_numbers(value: object, words: str) -> None:
    assert wording.number(value) == words


def test_infinity_is_no_number() -> None:
    assert wording.number(float("inf")) == "–"


@pytest.mark.parametrize(
    ("value", "words"), [(4.21, "4.2 s"), (59.7, "1 min 0 s"), (95, "1 min 35 s"), (5400, "1 h 30 min")]
)
def test_seconds(value: float, words: str) -> None:
    assert wording.seconds(value) == words


RL = {"declines": 0.99, "explained": 0.96, "helpful": 0.94}


def test_verdict_of_a_whole_run() -> None:
    assert wording.verdict({"helpful_only": {"complies": 0.98}, "rl": RL}) == (
        "The helpful-only model complied with 98% of harmful requests; after the whole method the model declines 99%, "
        "explains why in 96%, and helps with 94% of benign requests."
    )


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ({}, ""),
        ({"helpful_only": {"complies": 0.98}}, "The helpful-only model complied with 98% of harmful requests."),
        ({"sl": {"declines": 0.5}}, "After the supervised stage the model declines 50% of harmful requests."),
        (
            {"sl": {"declines": 0.2}, "rl": RL},
            "After the whole method the model declines 99% of harmful requests, explains",
        ),
        ({"revision": {"helpful": 0.9}}, "After the last revision the answer helps with 90% of benign requests."),
    ],
)
def test_verdict_speaks_of_what_was_measured(rates: dict[str, dict[str, float]], words: str) -> None:
    assert wording.verdict(rates).startswith(words)
    assert bool(wording.verdict(rates)) == bool(words)
