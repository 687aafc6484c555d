"""What a constitution is: principles, the categories they belong to, few-shot examples, and how principles are drawn.

A principle has up to three wordings. `critique` says what to look for in the last answer and `revision` how to rewrite
it (section 3.1 of the paper); `comparison` is the question that decides between two answers (section 4.1). It may have
the first two, the last, or all three; with `revision` alone it revises directly, without a critique (section 3.5).

Hashes are over meaning. A principle's hash covers its wordings, the text that models read. A constitution's hash covers
everything that can change a run: the categories in their order, every principle's id, category, severity, weight and
wordings, the few-shot examples and the sampling. Names, versions, descriptions, rationales, sources, tags, the order of
the principles and the file's formatting are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from charter.core.fingerprint import fingerprint
from charter.core.recipe import Config, Positive, Rate

Part = Literal["revision", "comparison"]

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Verbatim = Annotated[str, StringConstraints(min_length=1)]
Finite = Annotated[Rate, Field(allow_inf_nan=False)]

SLOT = "{}"
"""Where a chain-of-thought example has its principle."""


def _one_slot(text: str) -> str:
    if text.count(SLOT) != 1:
        raise PydanticCustomError(
            "slot", "an example needs exactly one {slot}, where the principle stands", {"slot": SLOT}
        )
    return text


class Category(Config):
    """A kind of concern. Where principles conflict the lower tier goes first, then the earlier category."""

    id: Identifier
    """Principles name it."""
    title: Text | None = None
    """A name for people."""
    tier: Positive = 1
    """Priority; 1 is the highest."""
    weight: Finite = 1.0
    """Multiplies the weights of its principles."""


class Principle(Config):
    """One principle. Outer white space of the wordings is dropped."""

    id: Identifier
    """Draws, verdicts and reports name it; keep it when the wording changes."""
    category: Identifier | None = None
    """The id of a category."""
    severity: Literal["low", "medium", "high"] = "medium"
    """How bad a violation is."""
    weight: Finite = 1.0
    """How often it is drawn where `sampling.strategy` is `weight`."""
    critique: Text | None = None
    """What to look for in the last answer."""
    revision: Text | None = None
    """How to rewrite the last answer."""
    comparison: Text | None = None
    """The question that decides between two answers."""
    rationale: Text | None = None
    """Why the principle is there, for people."""
    sources: tuple[Text, ...] = ()
    """Where it comes from."""
    tags: tuple[Text, ...] = ()
    """Free labels, for reports and tools."""

    @property
    def hash(self) -> str:
        """16 hex digits over the wordings."""
        return _fingerprint_of_wordings(self.critique, self.revision, self.comparison)

    def has(self, part: Part) -> bool:
        """Can it be drawn for this part?"""
        return (self.revision if part == "revision" else self.comparison) is not None

    @model_validator(mode="after")
    def _has_a_part(self) -> Self:
        if self.critique is not None and self.revision is None:
            raise _invalid(self, [(("critique",), "a critique needs a revision: say how to rewrite what it finds")])
        if self.revision is None and self.comparison is None:
            message = "a principle needs `critique` and `revision`, or `comparison`, or all three"
            raise _invalid(self, [((), message)])
        return self


class ComparisonShot(Config):
    """An example for the feedback model: two answers to one conversation, of which the first is the better."""

    prompt: Verbatim
    """The conversation, as Human/Assistant text."""
    chosen: Verbatim
    """The better answer."""
    rejected: Verbatim
    """The worse answer."""


class FewShot(Config):
    """Examples that stand before a request in the transcript format. They are kept verbatim, outer white space too."""

    critique_revision: tuple[Verbatim, ...] = ()
    """Whole transcripts of answer, critique and revision."""
    comparison: tuple[ComparisonShot, ...] = ()
    """Decided comparisons."""
    chain_of_thought: tuple[Annotated[Verbatim, AfterValidator(_one_slot)], ...] = ()
    """Comparisons decided after reasoning, each with one `{}` where the principle stands."""


class Sampling(Config):
    """How principles are drawn."""

    strategy: Literal["uniform", "weight"] = "uniform"
    """`uniform`: all alike. `weight`: in proportion to the principle's weight times its category's."""


class Constitution(Config):
    """A list of written principles."""

    name: Text
    """A name for people."""
    version: Text = "1.0.0"
    """The author's version (in quotes where it looks like a number)."""
    description: Text | None = None
    """What it is for."""
    categories: tuple[Category, ...] = ()
    """Kinds of concern, in the order of their priority."""
    principles: Annotated[tuple[Principle, ...], Field(min_length=1)]
    """At least one."""
    few_shot: FewShot = FewShot()
    """Examples for the transcript format."""
    sampling: Sampling = Sampling()
    """How principles are drawn."""

    @property
    def hash(self) -> str:
        """16 hex digits over everything that can change a run; see the module's docstring."""
        return _fingerprint_of_meaning(self)

    @property
    def weights(self) -> dict[str, float]:
        """What each principle weighs in a draw, by id."""
        if self.sampling.strategy == "uniform":
            return {p.id: 1.0 for p in self.principles}
        of_category: dict[str | None, float] = {c.id: c.weight for c in self.categories}
        return {p.id: p.weight * of_category.get(p.category, 1.0) for p in self.principles}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = [c.id for c in self.categories]
        problems = [*_repeated("categories", known), *_repeated("principles", [p.id for p in self.principles])]
        for index, principle in enumerate(self.principles):
            if principle.category is not None and principle.category not in known:
                problems.append((("principles", index, "category"), _unknown_category(principle.category, known)))
        if problems:
            raise _invalid(self, problems)
        return self


# Cached here and not on the models, where `model_copy` would carry a hash over to a copy that says something else.
@lru_cache(maxsize=4096)
def _fingerprint_of_wordings(critique: str | None, revision: str | None, comparison: str | None) -> str:
    return fingerprint(critique, revision, comparison)


@lru_cache(maxsize=16)
def _fingerprint_of_meaning(constitution: Constitution) -> str:
    return fingerprint(
        [[c.id, c.tier, c.weight] for c in constitution.categories],
        [[p.id, p.category, p.severity, p.weight, p.hash] for p in sorted(constitution.principles, key=lambda p: p.id)],
        constitution.few_shot,
        constitution.sampling,
    )


Problem = tuple[tuple[str | int, ...], str]


def _repeated(field: str, ids: list[str]) -> Iterator[Problem]:
    for index, name in enumerate(ids):
        if ids.index(name) != index:
            yield (field, index, "id"), f"{field}[{ids.index(name)}] has this id already: ids must differ"


def _unknown_category(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    if not known:
        return f"unknown category '{name}': list it under `categories`, or leave `category` out"
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"the categories are {', '.join(known)}"
    return f"unknown category '{name}': {hint}"


def _invalid(thing: Config, problems: list[Problem]) -> ValidationError:
    """A validation error whose places pydantic keeps, so that a file's line can be found for each."""
    errors: list[InitErrorDetails] = [
        {"type": PydanticCustomError("constitution", _literal(message)), "loc": loc, "input": thing}
        for loc, message in problems
    ]
    return ValidationError.from_exception_data(type(thing).__name__, errors)


def _literal(message: str) -> Any:
    # Without a context pydantic leaves the template alone, braces too; its type asks for a literal string.
    return message
