"""A run's figures on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from charter.core.errors import InputError
from charter.core.tables import read_json

COLUMNS = {
    "harmless": "harmless",
    "explained": "explained",
    "helpful": "helpful",
    "wrong": "wrong",
    "over_refusal": "over-refusal",
    "boilerplate": "boilerplate",
}
WIDTH_OF_A_PIPE = 110


def metrics_text(run: Path) -> str:
    """metrics.json as it is. Raises InputError where the run has none."""
    path = run / "metrics.json"
    if not path.is_file():
        raise InputError(
            "the run has no metrics.json", where=run, cure="give the recipe prompts.evaluation, and run it to the end"
        )
    return path.read_text(encoding="utf-8").rstrip("\n")


def show(run: Path) -> None:
    """Print the table of models and the controls, as far as there are any, and where the report is."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_PIPE, highlight=False)
    metrics: dict[str, Any] = read_json(run / "metrics.json") if (run / "metrics.json").is_file() else {}
    if metrics.get("oracle"):
        console.print(_table(metrics["oracle"]))
    for name, control in (metrics.get("controls") or {}).items():
        verdict = "passed" if control["passed"] else "FAILED"
        console.print(f"control {name}: {verdict}: {control['explanation']}", soft_wrap=True)
    report = run / "report.html"
    console.print(f"report: {report}" if report.is_file() else f"run: {run}", soft_wrap=True)


def rows(oracle: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The models in the order of the method, with their rows of figures."""
    if oracle.get("helpful_only"):
        yield "helpful-only", oracle["helpful_only"]
    for number, row in enumerate((oracle.get("revisions") or [])[1:], start=1):
        yield f"revision {number}", row
    for name, title in (("sl", "SL-CAI"), ("rl", "RL-CAI")):
        if oracle.get(name):
            yield title, oracle[name]


def _table(oracle: dict[str, Any]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("on held-out prompts")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    for name, row in rows(oracle):
        table.add_row(name, *(_share(row.get(key)) for key in COLUMNS))
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
