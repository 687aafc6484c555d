"""Figures and counts in words, the same in every rendering."""

from __future__ import annotations

from collections.abc import Mapping

from charter.constitution.schema import Part

PART_NAMES: dict[Part, str] = {"revision": "revisions", "comparison": "comparisons"}


def percent(share: float) -> str:
    """0.125 -> '12.5%'; only a true 0 is 'never', only a true 1 is '100%'."""
    points = 100 * share
    if points == 0:
        return "never"
    if points < 0.1:
        return "<0.1%"
    if 99.9 < points < 100:
        return ">99.9%"
    return f"{points:.0f}%" if points >= 10 and abs(points - round(points)) < 0.05 else f"{points:.1f}%"


def number(value: float) -> str:
    """2.0 -> '2'."""
    return f"{value:g}"


def plural(count: int, noun: str) -> str:
    """(1, 'principle') -> '1 principle', (2, 'category') -> '2 categories'."""
    if count != 1:
        noun = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{count:,} {noun}"


def drawn(chances: Mapping[Part, float]) -> str:
    """How often a principle is drawn, for people."""
    found = {PART_NAMES[part]: percent(share) for part, share in chances.items() if share}
    if not found:
        return "never drawn"
    return "drawn for " + ", ".join(f"{share} of {name}" for name, share in found.items())


def tally(counts: Mapping[str, int]) -> str:
    """What principles there are, in one line."""
    parts = [f"{counts['critique']} with a critique", f"{counts['revision']} with a revision"]
    parts.append(f"{counts['comparison']} with a comparison")
    if counts["retired"]:
        parts.append(f"{counts['retired']} retired")
    return f"{plural(counts['principles'], 'principle')}: {', '.join(parts)}"
