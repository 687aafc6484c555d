"""What was found in a file of prompts or comparisons: nothing is dropped silently."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

_SHOWN = 5


@dataclass(slots=True)
class PromptReport:
    """Counts of one file, filled while it is read. Lines are numbered from 1.

    Every row is a taken one, a duplicate, or set aside: `rows == taken + len(duplicates) + set_aside_rows`.
    """

    path: Path
    rows: int = 0
    """Rows read (up to the limit)."""
    taken: int = 0
    """Prompts or comparisons made of them."""
    duplicates: list[int] = field(default_factory=list)
    """Lines of rows that say the same as an earlier one; they are dropped."""
    odd: dict[str, list[int]] = field(default_factory=dict)
    """Lines by what is unusual about them; they are kept where nothing is in the way."""
    set_aside: dict[str, list[int]] = field(default_factory=dict)
    """Lines by why they could not be used."""
    other_scripts: int = 0
    """Prompts taken whose last words are mostly not in Latin letters; they are kept whole like all others."""

    @property
    def set_aside_rows(self) -> int:
        """How many rows could not be used."""
        return sum(map(len, self.set_aside.values()))

    @property
    def odd_rows(self) -> int:
        """How many rows have something unusual, each counted once."""
        return len({line for lines in self.odd.values() for line in lines})

    @property
    def remarks(self) -> str:
        """What was out of the ordinary, in a few words; empty where nothing was."""
        counts = {"odd": self.odd_rows, "duplicates dropped": len(self.duplicates), "set aside": self.set_aside_rows}
        return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)

    def counts(self) -> dict[str, int]:
        """Flat numbers for a manifest."""
        return {
            "rows": self.rows,
            "taken": self.taken,
            "duplicates": len(self.duplicates),
            "odd": self.odd_rows,
            "set_aside": self.set_aside_rows,
            **({"other_scripts": self.other_scripts} if self.other_scripts else {}),
        }

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.rows} rows, {self.taken} taken"]
        if self.duplicates:
            lines.append(f"duplicates, dropped: {_listed(self.duplicates)}")
        if self.other_scripts:
            lines.append(f"not in Latin letters: {self.other_scripts}")
        lines += [f"odd, {reason}: {_listed(where)}" for reason, where in sorted(self.odd.items())]
        lines += [f"set aside, {reason}: {_listed(where)}" for reason, where in sorted(self.set_aside.items())]
        return "\n  ".join(lines)


def _listed(lines: list[int]) -> str:
    shown = ", ".join(map(str, lines[:_SHOWN])) + (", ..." if len(lines) > _SHOWN else "")
    return f"{len(lines)} (line {shown})" if len(lines) == 1 else f"{len(lines)} (lines {shown})"
