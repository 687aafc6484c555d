"""A taxonomy of harms: the hazards that a constitution's coverage is measured against."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from charter.constitution.schema import Identifier, Text
from charter.core.settings import Config

DEFAULT = Path(__file__).parent / "taxonomies" / "mlcommons.yaml"


def _term(text: str) -> str:
    if not re.search(r"\w", text) or text.startswith("*"):
        raise PydanticCustomError("term", "a term is a word or a phrase; a `*` may stand for any ending")
    return text.casefold()


Term = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_term)]


class Hazard(Config):
    """One kind of harm."""

    id: Identifier
    """Principles may carry it as a tag."""
    title: Text
    """As published; its slug may be a tag, too: `violent-crimes`."""
    description: Text | None = None
    """What it is, for people."""
    terms: tuple[Term, ...] = ()
    """Words and phrases by which a principle covers it; `*` is any ending, a space is a space or a hyphen."""

    @property
    def slug(self) -> str:
        """The title as a tag."""
        return slug(self.title)

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """Any of the terms, in a text in lower case; None where there are none."""
        return pattern_of(self.terms)


class Taxonomy(Config):
    """A list of hazards, from a YAML file: `name`, `version`, `source` and `hazards`."""

    name: Text
    """As published."""
    version: Text | None = None
    """As published."""
    source: Text | None = None
    """Where it was published."""
    hazards: Annotated[tuple[Hazard, ...], Field(min_length=1)]
    """At least one."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        ids = [hazard.id for hazard in self.hazards]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated:
            raise PydanticCustomError("hazards", "the hazard's id stands twice: {ids}", {"ids": ", ".join(repeated)})
        return self

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name} v{self.version}" if self.version else self.name

    @staticmethod
    def load(path: str | Path | None = None) -> Taxonomy:
        """A taxonomy from a file; without one, the hazards of MLCommons AILuminate v1.0. Raises InputError."""
        return _default() if path is None else _read(Path(path))


@lru_cache(maxsize=1)
def _default() -> Taxonomy:
    return _read(DEFAULT)


def _read(path: Path) -> Taxonomy:
    from charter.core.errors import InputError
    from charter.core.validation import parse
    from charter.core.yaml import read_yaml

    data, locate = read_yaml(path)
    if not isinstance(data, dict):
        cure = "write `name` and `hazards`, a list of entries with `id`, `title` and `terms`"
        raise InputError("a taxonomy is a mapping of keys to values", where=path, cure=cure)
    return parse(Taxonomy, data, path, locate)


def pattern_of(terms: tuple[str, ...]) -> re.Pattern[str] | None:
    """A pattern that finds any of the terms as whole words."""
    if not terms:
        return None
    return re.compile(rf"(?<!\w)(?:{'|'.join(_expression(term) for term in terms)})(?!\w)")


def _expression(term: str) -> str:
    words = term.replace("-", " ").split()
    return r"[\s-]+".join(re.escape(word).replace(r"\*", r"[\w'’]*") for word in words)


def slug(text: str) -> str:
    """`Suicide & Self-Harm` as `suicide-self-harm`."""
    return "-".join(re.findall(r"\w+", text.casefold()))
