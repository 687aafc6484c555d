"""Constitutions that come with Charter: `library:NAME` in a recipe. docs/library.md presents them.

All but `world`, which is the miniature world's own, share one scale of tiers (1 safety, 2 honesty and fairness, 3 help,
4 manner), and no two give the same id to different things, so any of them can be extended together.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


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
