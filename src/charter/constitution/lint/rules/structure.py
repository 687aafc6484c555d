"""CC203 to CC205: categories, missing critiques, review."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from charter.constitution.lint.rule import Hit, Rule
from charter.constitution.lint.subject import Member, Subject
from charter.constitution.lint.words import HARM, words

STYLE = words(
    r"formal(?:ly|ity)?", r"informal(?:ly)?", r"casual(?:ly)?", r"concise(?:ly|ness)?", r"brief(?:er|ly)?",
    r"brevity", r"succinct(?:ly)?", r"short(?:er|est)?", r"long(?:er|est)", r"wordy", r"verbos\w+", r"length",
    r"emojis?", r"markdown", r"bullet\w*", r"format(?:ting|ted)?", r"headings?", r"grammar\w*", r"grammatical\w*",
    r"spelling", r"punctuation", r"vocabulary", r"humou?r\w*", r"witt\w+", r"funn\w+", r"poetic\w*", r"style",
    r"fluen\w+", r"readab\w+", r"layout", r"tone", r"jargon", r"plain (?:words|language)", r"elegan\w+", r"lively",
)  # fmt: skip


def _kind(member: Member) -> Literal["style", "safety"] | None:
    """Is a principle about style alone, or about safety alone?"""
    asked = [w for w in member.wordings if w.field == "comparison"] or [
        w for w in member.wordings if w.field == "revision"
    ]
    style = any(w.text.has(STYLE) for w in asked)
    harm = any(w.text.has(HARM) for w in member.wordings)
    return None if style == harm else "style" if style else "safety"


def _mixed(subject: Subject) -> Iterator[Hit]:
    for index, category in enumerate(subject.constitution.categories):
        members = [m for m in subject.members if m.principle.category == category.id]
        kinds = {kind: [m.principle.id for m in members if _kind(m) == kind] for kind in ("style", "safety")}
        if kinds["style"] and kinds["safety"]:
            style, safety = (", ".join(f"'{i}'" for i in kinds[k][:3]) for k in ("style", "safety"))
            message = f"the category '{category.id}' mixes style ({style}) with safety ({safety})"
            yield Hit(("categories", index), message)


def _direct(subject: Subject) -> Iterator[Hit]:
    for member in subject.members:
        if member.principle.revision is not None and member.principle.critique is None:
            message = f"'{member.principle.id}' has a revision and no critique, so it revises directly"
            yield Hit((*member.keys, "revision"), message, (member.principle.id,))


def _unreviewed(subject: Subject) -> Iterator[Hit]:
    for member in subject.members:
        principle = member.principle
        if principle.status == "draft" or not principle.reviewers:
            state = "is a draft" if principle.status == "draft" else "names no reviewer"
            yield Hit(member.keys, f"'{principle.id}' {state}", (principle.id,))


MIXED = Rule(
    code="CC203",
    name="style-with-safety",
    severity="warning",
    what="One category holds principles about style and principles about safety.",
    fires="A category has at least one principle whose comparison (without one, its revision) speaks of style "
    "(length, formality, formatting, grammar, vocabulary, humour, tone) and whose wordings speak of no harm, and at "
    "least one whose wordings speak of harm (danger, crime, violence, abuse, ethics, safety) and whose comparison "
    "speaks of no style. It is reported once, at the category.",
    spares="Principles without a category; a principle that speaks of both, such as one against preachy warnings; "
    "other concerns, such as honesty.",
    why="Tier and weight belong to the category. Mixed, a shorter answer weighs as much as a less dangerous one, and "
    "reports by category say nothing about either.",
    cure="give style a category of its own, in a lower tier (a higher number)",
    source="Mu et al. 2024, Rule Based Rewards for Language Model Safety (arXiv 2411.01111), where the style of a "
    "refusal and its safety are separate rules",
    example_bad="""\
name: example
categories:
  - {id: general}
principles:
  - id: violence
    category: general
    comparison: Which answer is of less use to a violent person?
  - id: grammar
    category: general
    comparison: Which answer has better grammar and spelling?
""",
    example_good="""\
name: example
categories:
  - {id: safety, tier: 1}
  - {id: style, tier: 2}
principles:
  - id: violence
    category: safety
    comparison: Which answer is of less use to a violent person?
  - id: grammar
    category: style
    comparison: Which answer has better grammar and spelling?
""",
    check=_mixed,
)

DIRECT = Rule(
    code="CC204",
    name="revision-without-critique",
    severity="info",
    what="A principle has a revision and no critique.",
    fires="A principle that is not retired has `revision` and leaves `critique` out.",
    spares="Principles with both, and those with a comparison alone. A critique without a revision is refused by the "
    "schema, not by the linter: nothing could be done with what it finds.",
    why="Without a critique the model rewrites the answer directly. In the paper this gave harmlessness scores much "
    "like those with critiques for large models and somewhat worse ones for small models; and nothing then says why "
    "the answer was changed. If direct revision is what you want, ignore this rule and say so.",
    cure="add `critique`: what to look for in the last answer; or ignore this rule with the reason",
    source="Bai et al. 2022, Constitutional AI (arXiv 2212.08073), section 3.5: are critiques necessary?",
    example_bad="""\
name: example
principles:
  - id: harm
    revision: Rewrite the answer so that it does no harm.
""",
    example_good="""\
name: example
principles:
  - id: harm
    critique: Could anything in the assistant's last answer do harm? Say what, and to whom.
    revision: Rewrite the answer so that it does no harm.
""",
    check=_direct,
)

UNREVIEWED = Rule(
    code="CC205",
    name="unreviewed",
    severity="info",
    default=False,
    what="A principle is a draft, or nobody is named as having read it.",
    fires="A principle that is not retired has the status `draft` (the default), or names no `reviewers`. Off unless "
    "selected: `--select CC205`.",
    spares="Principles with the status `reviewed` and at least one reviewer.",
    why="Where principles decide what a model may say, it should be on record who has approved them.",
    cure="have it read, then set `status: reviewed` and name `reviewers`",
    source="A practice of this project, for teams that want it",
    example_bad="""\
name: example
principles:
  - id: harm
    status: draft
    comparison: Which answer is less harmful?
""",
    example_good="""\
name: example
principles:
  - id: harm
    status: reviewed
    reviewers: [A. Reader]
    comparison: Which answer is less harmful?
""",
    check=_unreviewed,
)

RULES = (MIXED, DIRECT, UNREVIEWED)
