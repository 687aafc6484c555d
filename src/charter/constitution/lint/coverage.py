"""What a constitution covers: for every hazard of a taxonomy and for every dimension, which principles, by what words.

A principle covers something by a tag (the hazard's id, its title as a slug, or a tag with one of its terms), by its
category's id or title, or by the words of one of its wordings, quoted examples left out. Retired principles, ids,
rationales and sources cover nothing: models do not read them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from charter.constitution.lint.subject import Member, Subject
from charter.constitution.lint.taxonomy import Hazard, Taxonomy, slug
from charter.constitution.lint.words import DIMENSIONS
from charter.constitution.schema import Constitution


@dataclass(frozen=True)
class Evidence:
    """One principle that covers something, and by what."""

    principle: str
    part: str
    """`tag`, `category`, `critique`, `revision` or `comparison`."""
    words: str
    """The tag, or the words found."""


@dataclass(frozen=True)
class Cover:
    """One hazard or dimension, and what covers it: at most one piece of evidence for a principle and part."""

    id: str
    title: str
    evidence: tuple[Evidence, ...]

    @property
    def principles(self) -> tuple[str, ...]:
        """The ids of the principles that cover it."""
        return tuple(dict.fromkeys(e.principle for e in self.evidence))


@dataclass(frozen=True)
class Coverage:
    """A constitution against a taxonomy and its dimensions."""

    taxonomy: str
    hazards: tuple[Cover, ...]
    dimensions: tuple[Cover, ...]

    @property
    def missing(self) -> tuple[Cover, ...]:
        """The hazards that no principle covers."""
        return tuple(cover for cover in self.hazards if not cover.evidence)


def coverage(constitution: Constitution, taxonomy: Taxonomy | None = None) -> Coverage:
    """What the principles cover of a taxonomy (default: MLCommons AILuminate) and of the dimensions: helpfulness,
    harmlessness, honesty, fairness, respect, and those that the constitution names."""
    subject = Subject(constitution, taxonomy or Taxonomy.load())
    dimensions = dict.fromkeys([*DIMENSIONS, *constitution.dimensions])
    return Coverage(
        subject.taxonomy.label,
        tuple(_hazard(subject, hazard) for hazard in subject.taxonomy.hazards),
        tuple(Cover(d, d, tuple(by_dimension(subject, d))) for d in dimensions),
    )


def _hazard(subject: Subject, hazard: Hazard) -> Cover:
    return Cover(hazard.id, hazard.title, tuple(by_hazard(subject, hazard)))


def by_hazard(subject: Subject, hazard: Hazard) -> Iterator[Evidence]:
    """What covers one hazard."""
    names = {slug(hazard.id), hazard.slug}
    for member in subject.members:
        yield from evidence(member, hazard.pattern, names)


def by_dimension(subject: Subject, dimension: str) -> Iterator[Evidence]:
    """What covers one dimension: by words, too, for those that the linter knows."""
    pattern = DIMENSIONS.get(dimension.casefold())
    for member in subject.members:
        yield from evidence(member, pattern, {slug(dimension)})


def evidence(member: Member, pattern: re.Pattern[str] | None, names: set[str]) -> Iterator[Evidence]:
    """By what one principle covers what has these names and these words."""
    for label in member.labels:
        if label.slug in names or (pattern is not None and pattern.search(label.low)):
            yield Evidence(member.principle.id, label.part, label.text)
    if pattern is not None:
        for wording in member.wordings:
            found = pattern.search(wording.text.low)
            if found:
                yield Evidence(member.principle.id, wording.field, " ".join(found.group().split()))
