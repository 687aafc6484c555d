"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from charter.core.yaml import Keys, Place

if TYPE_CHECKING:
    from charter.constitution.lint.subject import Subject

Severity = Literal["error", "warning", "info"]

GROUPS = {
    "CC1": "Wording of a principle",
    "CC2": "Structure of the set",
    "CC3": "Coverage",
    "CC4": "Few-shot examples",
    "CC5": "Sampling",
    "CC9": "The linter itself",
}
"""The groups of codes, by their prefix."""


@dataclass(frozen=True)
class Hit:
    """One place where a rule fires."""

    keys: Keys
    """The field, in the resolved constitution."""
    message: str
    """What is wrong there."""
    principles: tuple[str, ...] = ()
    """The ids of the principles concerned, the one at `keys` first; each of them may ignore the rule."""
    cure: str | None = None
    """What to do, where the rule's own cure can be made more exact."""


Check = Callable[["Subject"], Iterable[Hit]]


@dataclass(frozen=True)
class Rule:
    """A rule of the linter. Its page in the docs is written from it; its tests run its two examples."""

    code: str
    name: str
    severity: Severity
    what: str
    """One sentence."""
    fires: str
    """Exactly when it fires."""
    spares: str
    """What looks alike and is left alone."""
    why: str
    cure: str
    source: str
    """A paper, or a known problem."""
    example_bad: str
    """A small constitution in YAML on which it fires."""
    example_good: str
    """The same, cured."""
    check: Check
    default: bool = True
    """Is it on unless asked for otherwise?"""


@dataclass(frozen=True)
class Finding:
    """One thing that the linter found."""

    code: str
    rule: str
    """The rule's name."""
    severity: Severity
    message: str
    cure: str
    principle: str | None
    """The id of the principle at fault; None where it is the whole constitution."""
    keys: Keys
    """The field, in the resolved constitution."""
    place: Place | None
    """Where it stands; None where the format has no places."""
    source: str
    """The constitution, as the user named it."""
