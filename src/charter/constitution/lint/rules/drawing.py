"""CC501 and CC502: principles that are never drawn, weights that do nothing."""

from __future__ import annotations

from collections.abc import Iterator

from charter.constitution.lint.rule import Hit, Rule
from charter.constitution.lint.subject import Subject
from charter.constitution.schema import Part, Principle
from charter.core.yaml import Keys

_PARTS: tuple[Part, ...] = ("revision", "comparison")


def _never(subject: Subject) -> Iterator[Hit]:
    constitution = subject.constitution
    drawn = {p.id for part in _PARTS for p in constitution.drawable(part)}
    for member in subject.members:
        if member.principle.id not in drawn:
            reason, field = _reason(subject, member.principle)
            keys = (*member.keys, field) if field else member.keys
            yield Hit(keys, f"'{member.principle.id}' is never drawn: {reason}", (member.principle.id,))


def _reason(subject: Subject, principle: Principle) -> tuple[str, str | None]:
    wanted = subject.constitution.sampling.tags
    if wanted and not set(wanted).intersection(principle.tags):
        return (
            f"it has none of the tags that `sampling.tags` asks for ({', '.join(wanted)})",
            "tags" if principle.tags else None,
        )
    if principle.weight == 0:
        return "its weight is 0", "weight"
    return f"the weight of its category '{principle.category}' is 0", "category"


def _idle(subject: Subject) -> Iterator[Hit]:
    constitution = subject.constitution
    if constitution.sampling.strategy != "uniform":
        return
    named: list[tuple[Keys, str]] = [
        (("categories", i, "weight"), f"category '{c.id}'")
        for i, c in enumerate(constitution.categories)
        if c.weight != 1
    ]
    named += [((*m.keys, "weight"), f"'{m.principle.id}'") for m in subject.members if m.principle.weight != 1]
    if named:
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        names = ", ".join(name for _, name in named[:3])
        message = f"`sampling.strategy` is uniform, so these weights have no effect: {names}{more}"
        yield Hit(named[0][0], message)


NEVER = Rule(
    code="CC501",
    name="never-drawn",
    severity="warning",
    what="A principle can never be drawn.",
    fires="A principle that is not retired has the weight 0, or its category has, where `sampling.strategy` is "
    "`weight` or `category_weight`; or `sampling.tags` is set and the principle has none of those tags.",
    spares="Retired principles, which are kept for the record on purpose; weights of 0 under `uniform`, where they "
    "have no effect (see CC502).",
    why="The principle looks as if it counted, in reviews and in coverage, and no model ever sees it.",
    cure="correct the weight or the tags; or set `status: retired` if it is to be kept and not used",
    source="Known from configuration in general: what is written and has no effect is mostly a mistake",
    example_bad="""\
name: example
sampling: {strategy: weight}
principles:
  - id: harm
    comparison: Which answer is less harmful?
  - id: honesty
    weight: 0
    comparison: Which answer is more honest?
""",
    example_good="""\
name: example
sampling: {strategy: weight}
principles:
  - id: harm
    comparison: Which answer is less harmful?
  - id: honesty
    weight: 0.5
    comparison: Which answer is more honest?
""",
    check=_never,
)

IDLE = Rule(
    code="CC502",
    name="weights-without-effect",
    severity="info",
    what="Weights are given, and principles are drawn uniformly.",
    fires="`sampling.strategy` is `uniform` (the default) and a category, or a principle that is not retired, has a "
    "weight other than 1. There is one finding, at the first of them.",
    spares="Weights of 1, and all weights under the strategies `weight` and `category_weight`.",
    why="Uniform drawing takes no notice of weights: a principle of weight 0 is drawn as often as any other.",
    cure="set `sampling: {strategy: weight}` or `category_weight`, or leave the weights out",
    source="Bai et al. 2022, Constitutional AI (arXiv 2212.08073), section 3.1: uniform drawing is the paper's",
    example_bad="""\
name: example
principles:
  - id: harm
    weight: 3
    comparison: Which answer is less harmful?
""",
    example_good="""\
name: example
sampling: {strategy: weight}
principles:
  - id: harm
    weight: 3
    comparison: Which answer is less harmful?
""",
    check=_idle,
)

RULES = (NEVER, IDLE)
