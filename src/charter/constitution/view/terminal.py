"""The view on a terminal, or in a plain text file."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from charter.constitution.lint.coverage import Cover
from charter.constitution.view.content import PARTS, Group, Item, View, evidence
from charter.constitution.view.wording import drawn, number, percent, plural, tally

WIDTH_OF_A_PIPE = 100
STYLES = {"error": "bold red", "warning": "yellow", "info": "blue"}


def terminal(content: View, *, coverage_alone: bool = False, to_screen: bool = True) -> str:
    """The view as text: with colours, and as wide as the terminal, where it goes to one."""
    from rich.console import Console

    screen = to_screen and sys.stdout.isatty()
    width = Console().width if screen else WIDTH_OF_A_PIPE
    printed = io.StringIO()
    console = Console(file=printed, width=width, force_terminal=screen, highlight=False, markup=False, emoji=False)
    if not coverage_alone:
        _head(console, content)
        for group in content.groups:
            _group(console, group)
    _coverage(console, content, words=coverage_alone)
    if not coverage_alone:
        _findings(console, content)
    return "\n".join(line.rstrip() for line in printed.getvalue().strip("\n").splitlines())


def _head(console: Any, content: View) -> None:
    c = content.constitution
    console.print(_text(c.name, "bold"), c.version)
    if c.description:
        console.print(" ".join(c.description.split()))
    console.print()
    console.print(_pairs(content.facts))
    console.print()
    console.print(
        f"{plural(len(c.categories), 'category').replace('categorys', 'categories')}, {tally(content.counts)}"
    )
    header = (
        "tier",
        "category",
        "weight",
        "principles",
        "critique",
        "revision",
        "comparison",
        "drawn for\nrevisions",
        "drawn for\ncomparisons",
    )
    console.print(_table(header, [_row(group) for group in content.groups], right=range(2, 9)))


def _row(group: Group) -> list[str]:
    counts, chances = group.counts, group.chances
    weight = number(group.category.weight) if group.category else "1"
    figures = [str(counts[name]) for name in ("principles", "critique", "revision", "comparison")]
    drawn_for = [percent(chances[part]) for part in PARTS]
    return [str(group.tier), group.title, weight, *figures, *drawn_for]


def _group(console: Any, group: Group) -> None:
    if not group.items:
        return
    console.print()
    console.rule(_text(f"tier {group.tier} · {group.title}", "bold"), align="left", characters="─")
    for item in group.items:
        _item(console, item)


def _item(console: Any, item: Item) -> None:
    from rich.padding import Padding

    p = item.principle
    console.print()
    about = f"{p.severity} · {p.status} · {drawn(item.chances)} · {p.hash}"
    console.print(_text(p.id, "bold"), _text(about, "dim"), sep="  ")
    console.print(Padding(_pairs([*item.wordings, *item.notes]), (0, 0, 0, 2)))


def _coverage(console: Any, content: View, *, words: bool) -> None:
    covered = content.coverage
    console.print()
    console.print(_text(f"coverage of {covered.taxonomy}", "bold"))
    console.print(_table(("hazard", "covered by"), [_covered(cover, words) for cover in covered.hazards]))
    if covered.dimensions:
        console.print()
        console.print(_table(("dimension", "covered by"), [_covered(cover, words) for cover in covered.dimensions]))


def _covered(cover: Cover, words: bool) -> list[Any]:
    """A hazard, and the principles that cover it, with the words that show it where asked for."""
    if not cover.evidence:
        return [cover.title, _text("nothing", STYLES["warning"])]
    if words:
        return [cover.title, "\n".join(f"{name}: {by}" for name, by in evidence(cover).items())]
    return [cover.title, ", ".join(cover.principles)]


def _findings(console: Any, content: View) -> None:
    console.print()
    console.print(_text("the linter", "bold"))
    if not content.findings:
        console.print("finds nothing")
    for f in content.findings:
        about = f" {f.principle}:" if f.principle else ""
        console.print(_text(f"{f.severity} {f.code}", STYLES[f.severity]), f"{about} {f.message}", sep="")


def _pairs(pairs: Iterable[tuple[str, str]]) -> Any:
    """Names and texts in two columns, so that a long text is indented as a whole."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", min_width=10, no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in pairs:
        table.add_row(name, text)
    return table


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]], right: Iterable[int] = ()) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, title in enumerate(header):
        table.add_column(title, justify="right" if index in set(right) else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _text(text: str, style: str = "") -> Any:
    from rich.text import Text

    return Text(text, style=style)
