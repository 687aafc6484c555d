"""What a constitution is: principles, the categories they belong to, few-shot examples, and how principles are drawn.

A principle has up to three wordings. `critique` says what to look for in the last answer and `revision` how to rewrite
it (section 3.1 of the paper); `comparison` is the question that decides between two answers (section 4.1). It may have
the first two, the last, or all three; with `revision` alone it revises directly, without a critique (section 3.5).

A file is a `Document`. It may extend other constitutions; `modules.py` resolves it into a `Constitution`, which stands
alone and is what everything else works with.

Hashes are over meaning. A principle's hash covers the text that models read: its wordings and its own examples. A
constitution's hash covers what it demands: the categories in their order, every principle's id, category, severity,
weight and text, the examples and the sampling. `part_hash` covers what can change one part of a run and no more, so
that rewording a comparison leaves every chain of revisions as it was. Names, versions, descriptions,
rationales, sources, reviewers, retired principles, the order of the principles and the file's formatting are left out;
tags count only where the sampling asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from charter.core.fingerprint import fingerprint
from charter.core.settings import Config, Positive, Weight

Part = Literal["revision", "comparison"]

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Verbatim = Annotated[str, StringConstraints(min_length=1)]
Finite = Annotated[Weight, Field(allow_inf_nan=False)]
Version = Annotated[
    str,
    StringConstraints(pattern=r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$"),
]

SLOT = "{}"
"""Where a chain-of-thought example has its principle."""


def _one_slot(text: str) -> str:
    if text.count(SLOT) != 1:
        raise PydanticCustomError(
            "slot", "an example needs exactly one {slot}, where the principle stands", {"slot": SLOT}
        )
    return text


class Category(Config):
    """A kind of concern. Where principles conflict, a tier decides only where all tiers above it abstain or tie."""

    id: Identifier
    """Principles name it."""
    title: Text | None = None
    """A name for people."""
    tier: Positive = 1
    """Priority; 1 is the highest."""
    weight: Finite = 1.0
    """Multiplies the weights of its principles; what it is drawn by where `sampling.strategy` is `category_weight`."""


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


class Principle(Config):
    """One principle. Outer white space of the wordings is dropped."""

    id: Identifier
    """Draws, verdicts and reports name it; keep it when the wording changes."""
    category: Identifier | None = None
    """The id of a category."""
    severity: Literal["low", "medium", "high"] = "medium"
    """How bad a violation is."""
    weight: Finite = 1.0
    """How often it is drawn where `sampling.strategy` is `weight` or `category_weight`; 0 is never."""
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
    """Free labels, for reports, for `sampling.tags`, and for what the linter takes the principle to cover."""
    status: Literal["draft", "reviewed", "retired"] = "draft"
    """A retired principle is kept for the record and never drawn."""
    reviewers: tuple[Text, ...] = ()
    """Who has read and approved it."""
    few_shot: FewShot = FewShot()
    """Its own examples; where it has none of a kind, the constitution's stand in."""
    lint_ignore: dict[str, Text] = Field(default_factory=dict)
    """Findings of the linter that are accepted here: the rule's code, and the reason."""

    @property
    def hash(self) -> str:
        """16 hex digits over what models read of it."""
        return _fingerprint_of_text(self)

    def has(self, part: Part) -> bool:
        """Is it worded for this part?"""
        return (self.revision if part == "revision" else self.comparison) is not None

    @model_validator(mode="after")
    def _has_a_part(self) -> Self:
        if self.critique is not None and self.revision is None:
            raise _invalid(self, [(("critique",), "a critique needs a revision: say how to rewrite what it finds")])
        if self.revision is None and self.comparison is None:
            message = "a principle needs `critique` and `revision`, or `comparison`, or all three"
            raise _invalid(self, [((), message)])
        return self


class Sampling(Config):
    """How principles are drawn."""

    strategy: Literal["uniform", "weight", "category_weight"] = "uniform"
    """`uniform`: all alike. `weight`: in proportion to the principle's weight times its category's. `category_weight`:
    first a category in proportion to its weight, then one of its principles in proportion to theirs."""
    without_replacement: bool = True
    """No principle twice in a chain before all have been drawn: asking twice for the same thing wastes a round. The
    paper draws every time from all."""
    tags: tuple[Text, ...] = ()
    """Draw only principles with one of these tags; left out: all."""


class _Head(Config):
    """What a constitution and a file of one have in common."""

    name: Text
    """A name for people."""
    version: Version = "1.0.0"
    """The author's version: major.minor.patch."""
    description: Text | None = None
    """What it is for."""
    authors: tuple[Text, ...] = ()
    """Who wrote it."""
    licence: Text | None = None
    """Under which terms it may be used, such as CC-BY-4.0."""
    sources: tuple[Text, ...] = ()
    """What it draws on."""
    dimensions: tuple[Text, ...] = ()
    """What it is meant to cover besides what the linter expects of every constitution: tags or categories."""
    categories: tuple[Category, ...] = ()
    """Kinds of concern."""
    few_shot: FewShot = FewShot()
    """Examples for the transcript format."""
    sampling: Sampling = Sampling()
    """How principles are drawn."""
    lint_ignore: dict[str, Text] = Field(default_factory=dict)
    """Findings of the linter that are accepted for the whole: the rule's code, and the reason."""


class Override(Config):
    """A change to an inherited principle: what is written here replaces what it said; the rest stays."""

    id: Identifier
    """The inherited principle's."""
    category: Identifier | None = None
    severity: Literal["low", "medium", "high"] | None = None
    weight: Finite | None = None
    critique: Text | None = None
    revision: Text | None = None
    comparison: Text | None = None
    rationale: Text | None = None
    sources: tuple[Text, ...] | None = None
    tags: tuple[Text, ...] | None = None
    status: Literal["draft", "reviewed", "retired"] | None = None
    reviewers: tuple[Text, ...] | None = None
    few_shot: FewShot | None = None
    lint_ignore: dict[str, Text] | None = None


class Document(_Head):
    """A constitution's file."""

    extends: tuple[Text, ...] = ()
    """Constitutions whose categories, principles and examples are taken over: files (relative to this one) or
    `library:NAME`."""
    remove: tuple[Identifier, ...] = ()
    """Inherited principles that are left out."""
    overrides: tuple[Override, ...] = ()
    """Inherited principles that are changed."""
    principles: tuple[Principle, ...] = ()
    """The constitution's own."""

    @model_validator(mode="after")
    def _something_to_extend(self) -> Self:
        problems: list[Problem] = []
        if not self.extends:
            problems += [
                ((field,), "there is nothing to change: name what it changes under `extends`")
                for field in ("remove", "overrides")
                if getattr(self, field)
            ]
            if not self.principles:
                problems.append((("principles",), "the constitution has none"))
        if problems:
            raise _invalid(self, problems)
        return self


class Constitution(_Head):
    """A list of written principles that stands alone: what a file says once all that it extends is taken over."""

    principles: Annotated[tuple[Principle, ...], Field(min_length=1)]
    """At least one."""

    @property
    def hash(self) -> str:
        """16 hex digits over what it demands; see the module's docstring."""
        return _fingerprint_of_meaning(self)

    def part_hash(self, part: Part) -> str:
        """16 hex digits over everything that can change the revisions, or the comparisons, of a run."""
        return _fingerprint_of_part(self, part)

    def drawable(self, part: Part) -> tuple[Principle, ...]:
        """The principles that can be drawn for a part: worded for it, not retired, of the sampling's tags, and of a
        weight above 0 where weights count."""
        wanted, weights = set(self.sampling.tags), self.weights
        return tuple(
            p
            for p in self.principles
            if p.has(part)
            and p.status != "retired"
            and (not wanted or wanted.intersection(p.tags))
            and weights[p.id] > 0
        )

    @property
    def weights(self) -> dict[str, float]:
        """What each principle weighs in a draw, before categories share out what is theirs (`category_weight`)."""
        if self.sampling.strategy == "uniform":
            return {p.id: 1.0 for p in self.principles}
        of_category: dict[str | None, float] = {c.id: c.weight for c in self.categories}
        return {p.id: p.weight * of_category.get(p.category, 1.0) for p in self.principles}

    @property
    def tiers(self) -> dict[str, int]:
        """The tier of each principle, by id; 1 where it has no category."""
        of_category: dict[str | None, int] = {c.id: c.tier for c in self.categories}
        return {p.id: of_category.get(p.category, 1) for p in self.principles}

    def principle(self, id: str) -> Principle:  # noqa: A002
        """The principle of this id. Raises KeyError."""
        for principle in self.principles:
            if principle.id == id:
                return principle
        raise KeyError(id)

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


# Cached by what is hashed and not on the models, where `model_copy` would carry a hash over to a copy that says
# something else.
def _fingerprint_of_text(principle: Principle) -> str:
    return _fingerprint_of_wordings(principle.critique, principle.revision, principle.comparison, principle.few_shot)


@lru_cache(maxsize=4096)
def _fingerprint_of_wordings(
    critique: str | None, revision: str | None, comparison: str | None, few_shot: FewShot
) -> str:
    return fingerprint(critique, revision, comparison, few_shot)


def _fingerprint_of_meaning(constitution: Constitution) -> str:
    asked_for = set(constitution.sampling.tags)
    return fingerprint(
        [[c.id, c.tier, c.weight] for c in constitution.categories],
        [
            [p.id, p.category, p.severity, p.weight, p.hash, sorted(asked_for.intersection(p.tags))]
            for p in sorted(constitution.principles, key=lambda p: p.id)
            if p.status != "retired"
        ],
        constitution.few_shot,
        constitution.sampling,
    )


def _fingerprint_of_part(constitution: Constitution, part: Part) -> str:
    """Over what can be drawn, how often, what is read of it, and, where verdicts are combined, its tier."""
    weights, tiers, sampling = constitution.weights, constitution.tiers, constitution.sampling
    by_category = sampling.strategy == "category_weight"
    revision = part == "revision"
    return fingerprint(
        part,
        [
            [
                *(p.id, _text_of_part(p, p.few_shot, part), weights[p.id]),
                *(None if revision else tiers[p.id], p.category if by_category else None),
            ]
            for p in sorted(constitution.drawable(part), key=lambda p: p.id)
        ],
        [[c.id, c.weight] for c in constitution.categories] if by_category else None,
        _text_of_part(None, constitution.few_shot, part),
        sampling.without_replacement if revision else None,
    )


def _text_of_part(principle: Principle | None, shots: FewShot, part: Part) -> list[Any]:
    if part == "revision":
        return [principle and (principle.critique, principle.revision), shots.critique_revision]
    return [principle and principle.comparison, shots.comparison, shots.chain_of_thought]


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
