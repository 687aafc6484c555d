"""Constitutions that come with Charter: `library:NAME` in a recipe. docs/library.md presents them.

All but `world`, which is the miniature world's own, share one scale of tiers (1 safety, 2 honesty and fairness, 3 help,
4 manner), and no two give the same id to different things, so any of them can be extended together.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent


class Summary(NamedTuple):
    """One line of the library's list."""

    name: str
    version: str
    description: str
    principles: dict[str, int]
    """How many can be drawn for each part: `revision`, `comparison`."""


def names() -> list[str]:
    """What there is, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def path(name: str) -> Path:
    """The file of a constitution. Raises InputError for a name that is not here."""
    from difflib import get_close_matches

    from charter.core.errors import InputError

    here = names()
    if name not in here:
        close = get_close_matches(name, here, n=1)
        hint = f"did you mean library:{close[0]}? " if close else ""
        raise InputError(f"the library has no constitution '{name}'", cure=f"{hint}the library has {', '.join(here)}")
    return FOLDER / f"{name}.yaml"


def summaries() -> list[Summary]:
    """What there is, with what each says of itself."""
    from typing import get_args

    from charter.constitution.load import load
    from charter.constitution.schema import Part

    found = []
    for name in names():
        c = load(f"library:{name}")
        found.append(
            Summary(name, c.version, c.description or "", {part: len(c.drawable(part)) for part in get_args(Part)})
        )
    return found
