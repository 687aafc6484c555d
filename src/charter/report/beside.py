"""A run beside the run that it was made from: what was changed, what was made again, and the figures of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from charter.report import measures, wording
from charter.report.files import RunFiles, at, real, text
from charter.report.measures import Estimate, Row
from charter.statistics.intervals import independent_difference

SHOWN = ("helpful_only", "revision", "sl", "rl")


@dataclass(frozen=True)
class Pair:
    """One figure in the parent and in this run; `interval` is that of the difference, as if the two were
    independent. `clear`: it leaves out 0."""

    before: Estimate
    after: Estimate
    difference: str
    interval: str
    clear: bool


@dataclass(frozen=True)
class BesideRow:
    """One model; `cells` go with measures.COLUMNS."""

    name: str
    cells: tuple[Pair | None, ...]


@dataclass(frozen=True)
class Work:
    """What one stage asked of models in the parent and here, and how many of its records were taken over."""

    stage: str
    how: str
    before: str
    after: str


@dataclass(frozen=True)
class Beside:
    """The section: where the parent is, the changes in words, the work, the figures."""

    parent: str
    changes: tuple[str, ...]
    work: tuple[Work, ...]
    rows: tuple[BesideRow, ...]


def beside(files: RunFiles) -> Beside | None:
    """None for a run without a parent."""
    changes = at(files.parent, "changes")
    if not isinstance(changes, Mapping):
        return None
    lines = changes.get("lines") or ()
    return Beside(
        parent=text(changes, "run"),
        changes=tuple(str(line) for line in lines),
        work=tuple(_work(files, changes)),
        rows=tuple(_rows(at(files.parent, "metrics") or {}, files.metrics)),
    )


def _work(files: RunFiles, changes: Mapping[str, object]) -> Iterator[Work]:
    stages = at(files.manifest, "stages")
    for name, stage in stages.items() if isinstance(stages, Mapping) else ():
        before = real(changes, "calls", name)
        taken = real(stage, "counts", "taken_over")
        if text(stage, "reused_from"):
            yield Work(name, "reused whole", wording.number(before), "0" if before is not None else "–")
        else:
            how = f"made again, {wording.number(taken)} records taken over" if taken else "made again"
            yield Work(name, how, wording.number(before), wording.number(real(stage, "counts", "calls")))


def _rows(before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[BesideRow]:
    old, new = _by_name(before), _by_name(after)
    for name, row in new.items():
        if name in old:
            cells = zip(old[name].cells, row.cells, strict=True)
            yield BesideRow(name, tuple(pair(one, other) if one and other else None for one, other in cells))


def _by_name(metrics: Mapping[str, object]) -> dict[str, Row]:
    """The rows of a run's main table, of the revisions the last."""
    rows = [row for row in measures.rows(metrics) if row.part in SHOWN]
    last = max((row.step for row in rows if row.part == "revision"), default=0)
    return {row.name: row for row in rows if row.part != "revision" or row.step == last}


def pair(before: Estimate, after: Estimate) -> Pair:
    """Two figures and their difference in points."""
    points = f"{100 * (after.value - before.value):+.1f}".replace("-", "−")
    if before.interval is None or after.interval is None:
        return Pair(before, after, points, "", False)
    low, high = independent_difference(before.value, before.interval, after.value, after.interval)
    words = f"{100 * low:+.1f} to {100 * high:+.1f}".replace("-", "−")
    return Pair(before, after, points, words, not low <= 0 <= high)
