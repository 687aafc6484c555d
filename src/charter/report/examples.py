"""Which chains and labels the page shows, and how: chosen by rule and never for their quality, so that they are fair.

Chains: for each kind of prompt, spread evenly over the file. Labels: the surest, the one in the middle, the least sure,
and the one whose two orders disagree most.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from charter.core.records import Chain, Message, Preference, Verdict
from charter.report.files import RunFiles, Tree, at, text

KINDS = (("harmful", 3), ("benign", 2), ("look_alike", 2))


@dataclass(frozen=True)
class Span:
    """A piece of an answer; `new` where the answer before it did not have these words."""

    text: str
    new: bool = False


@dataclass(frozen=True)
class RoundView:
    """One round as the page shows it. `principle` is the critique's request (the revision's for a direct revision)."""

    number: int
    principle_id: str
    principle: str
    critique: str | None
    revision: tuple[Span, ...]
    changed: bool


@dataclass(frozen=True)
class Answer:
    """What a trained model says to the same prompt."""

    model: str
    text: str


@dataclass(frozen=True)
class Example:
    """A chain as conversation."""

    kind: str
    turns: tuple[Message, ...]
    response: str
    rounds: tuple[RoundView, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class VerdictView:
    """One question that was asked of the feedback model; `p_a` None where the verdict is invalid, for `reason`."""

    principle_id: str
    order: str
    p_a: float | None
    reason: str


@dataclass(frozen=True)
class LabelExample:
    """A comparison with its label. `why` says by which rule it was chosen; `asked` has (principle id, its question)."""

    why: str
    turns: tuple[Message, ...]
    a: str
    b: str
    p_a: float
    asked: tuple[tuple[str, str], ...]
    verdicts: tuple[VerdictView, ...]


def principles(constitution: Tree) -> dict[str, Tree]:
    """The constitution's principles by id."""
    found = at(constitution, "principles") or ()
    return {text(principle, "id"): principle for principle in found if isinstance(principle, Mapping)}


def difference(before: str, after: str) -> tuple[Span, ...]:
    """`after` in pieces, marking the words that `before` does not have in that place. The pieces join to `after`."""
    old, new = re.findall(r"\s*\S+|\s+", before), re.findall(r"\s*\S+|\s+", after)
    matcher = difflib.SequenceMatcher(
        None, [word.strip() for word in old], [word.strip() for word in new], autojunk=False
    )
    pieces: list[Span] = []
    for operation, _, _, start, end in matcher.get_opcodes():
        words = "".join(new[start:end])
        inside = words.lstrip() if operation != "equal" else ""  # the space before a marked word stays unmarked
        pieces += [Span(words.removesuffix(inside)), Span(inside, new=True)] if inside else [Span(words)]
    return tuple(piece for piece in pieces if piece.text)


def evenly(items: Sequence[Chain], count: int) -> list[Chain]:
    """`count` items spread over the sequence, the first among them."""
    if len(items) <= count:
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


def _distinct(chains: Iterable[Chain]) -> list[Chain]:
    seen: set[str] = set()
    kept = []
    for chain in chains:
        mark = chain.prompt.cluster or chain.prompt.id
        if mark not in seen:
            seen.add(mark)
            kept.append(chain)
    return kept


def _rounds(chain: Chain, known: Mapping[str, Tree]) -> tuple[RoundView, ...]:
    views = []
    for number, (before, this) in enumerate(zip(chain.answers, chain.rounds, strict=False), 1):
        part = "revision" if this.critique is None else "critique"
        views.append(
            RoundView(
                number=number,
                principle_id=this.principle_id,
                principle=text(known.get(this.principle_id), part),
                critique=this.critique,
                revision=difference(before, this.revision),
                changed=before != this.revision,
            )
        )
    return tuple(views)


def examples(files: RunFiles) -> tuple[Example, ...]:
    """Chains of the evaluation (or, before there is one, of the training data), with the trained models' answers."""
    known = principles(files.constitution)
    chains = files.evaluated["chains"] or files.revisions
    trained = [
        (name, {chain.prompt.id: chain.response for chain in reversed(files.evaluated[key])})
        for key, name in (("sl", "SL-CAI"), ("rl", "RL-CAI"))
    ]
    by_kind: dict[str, list[Chain]] = {kind: [] for kind, _ in KINDS}
    for chain in chains:
        by_kind.setdefault(chain.prompt.kind or "", []).append(chain)
    wanted = dict(KINDS) if any(by_kind[kind] for kind, _ in KINDS) else {"": 4}
    return tuple(
        Example(
            kind=kind,
            turns=chain.prompt.messages,
            response=chain.response,
            rounds=_rounds(chain, known),
            answers=tuple(Answer(name, said[chain.prompt.id]) for name, said in trained if chain.prompt.id in said),
        )
        for kind, count in wanted.items()
        for chain in evenly(_distinct(by_kind.get(kind, ())), count)
    )


def _order_gap(preference: Preference) -> float:
    """How far the two orders lie apart, averaged over what was asked in each; 0 where one is missing."""
    means = []
    for order in ("ab", "ba"):
        valid = [v.p_a for v in preference.verdicts if v.order == order and v.p_a is not None]
        if not valid:
            return 0.0
        means.append(sum(valid) / len(valid))
    return abs(means[0] - means[1])


def _verdict(verdict: Verdict) -> VerdictView:
    return VerdictView(verdict.principle_id, verdict.order, verdict.p_a, verdict.reason or "")


def _label(why: str, preference: Preference, known: Mapping[str, Tree]) -> LabelExample:
    assert preference.p_a is not None
    asked = dict.fromkeys(verdict.principle_id for verdict in preference.verdicts)
    return LabelExample(
        why=why,
        turns=preference.comparison.prompt.messages,
        a=preference.comparison.a,
        b=preference.comparison.b,
        p_a=preference.p_a,
        asked=tuple((name, text(known.get(name), "comparison")) for name in asked),
        verdicts=tuple(_verdict(verdict) for verdict in preference.verdicts),
    )


def label_examples(files: RunFiles) -> tuple[LabelExample, ...]:
    """Up to four of the feedback model's labels, each chosen by a rule that its `why` names."""
    known = principles(files.constitution)
    valid = [p for p in files.preferences if p.p_a is not None and p.source == "harmless" and p.verdicts]
    valid.sort(key=lambda p: (abs((p.p_a or 0.0) - 0.5), p.comparison.id))
    if not valid:
        return ()
    rules = [
        ("The surest label", valid[-1]),
        ("A label in the middle", valid[len(valid) // 2]),
        ("The least sure label", valid[0]),
    ]
    torn = max(valid, key=lambda p: (_order_gap(p), p.comparison.id))
    if _order_gap(torn) > 0:
        rules.append(("The two orders disagree most", torn))
    chosen: dict[str, tuple[str, Preference]] = {}
    for why, preference in rules:
        chosen.setdefault(preference.comparison.id, (why, preference))
    return tuple(_label(why, preference, known) for why, preference in chosen.values())
