"""A constitution as the rules see it: its wordings read once, without the retired principles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from charter.constitution.lint.taxonomy import Taxonomy, slug
from charter.constitution.lint.text import Text
from charter.constitution.schema import Constitution, Principle
from charter.core.yaml import Keys

Field = Literal["critique", "revision", "comparison"]
FIELDS: tuple[Field, ...] = ("critique", "revision", "comparison")


@dataclass(frozen=True)
class Wording:
    """One wording of a principle."""

    principle: Principle
    index: int
    field: Field
    text: Text

    @property
    def keys(self) -> Keys:
        """Where it stands."""
        return ("principles", self.index, self.field)


@dataclass(frozen=True)
class Label:
    """A tag of a principle, or the id or the title of its category."""

    part: Literal["tag", "category"]
    text: str
    slug: str
    low: str
    """As words in lower case."""


@dataclass(frozen=True)
class Member:
    """A principle that is not retired, with its wordings."""

    principle: Principle
    index: int
    wordings: tuple[Wording, ...]
    labels: tuple[Label, ...]

    @property
    def keys(self) -> Keys:
        """Where it stands."""
        return ("principles", self.index)

    def wording(self, field: Field) -> Text | None:
        """One of its wordings."""
        return next((w.text for w in self.wordings if w.field == field), None)


class Subject:
    """What a rule's check is given."""

    def __init__(self, constitution: Constitution, taxonomy: Taxonomy) -> None:
        self.constitution, self.taxonomy = constitution, taxonomy

    @cached_property
    def members(self) -> list[Member]:
        """The principles that are not retired, in order."""
        categories = {
            c.id: _labels("category", [t for t in (c.id, c.title) if t]) for c in self.constitution.categories
        }
        return [
            Member(principle, index, tuple(_wordings(principle, index)), _of(principle, categories))
            for index, principle in enumerate(self.constitution.principles)
            if principle.status != "retired"
        ]

    @cached_property
    def ignores(self) -> dict[str, dict[str, str]]:
        """What each principle accepts, by its id."""
        return {p.id: p.lint_ignore for p in self.constitution.principles if p.lint_ignore}

    def wordings(self, *fields: Field) -> Iterator[Wording]:
        """All wordings of these kinds (all kinds where none is named), in the order of the file."""
        for member in self.members:
            yield from (w for w in member.wordings if not fields or w.field in fields)


def _of(principle: Principle, categories: dict[str, tuple[Label, ...]]) -> tuple[Label, ...]:
    return (*_labels("tag", principle.tags), *categories.get(principle.category or "", ()))


def _labels(part: Literal["tag", "category"], texts: Iterable[str]) -> tuple[Label, ...]:
    return tuple(Label(part, text, slug(text), text.casefold().replace("-", " ")) for text in texts)


def _wordings(principle: Principle, index: int) -> Iterator[Wording]:
    for field in FIELDS:
        text = getattr(principle, field)
        if text is not None:
            yield Wording(principle, index, field, Text(text))
