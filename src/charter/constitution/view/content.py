"""What there is to show: the constitution, what follows from it, what it covers, and what the linter says."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, get_args

from charter.constitution.lint import lint, render
from charter.constitution.lint.coverage import Cover, Coverage, coverage
from charter.constitution.lint.rule import Finding
from charter.constitution.lint.taxonomy import Taxonomy
from charter.constitution.load import Source
from charter.constitution.sampling import probabilities
from charter.constitution.schema import Category, Constitution, Part, Principle

PARTS: tuple[Part, ...] = get_args(Part)
WORDINGS = ("critique", "revision", "comparison")


@dataclass(frozen=True, slots=True)
class Item:
    """A principle, and the probability that one draw falls on it, by part."""

    principle: Principle
    tier: int
    chances: dict[Part, float]

    @property
    def wordings(self) -> list[tuple[str, str]]:
        """What models read: (name, text)."""
        p = self.principle
        return [(name, text) for name in WORDINGS if (text := getattr(p, name))]

    @property
    def notes(self) -> list[tuple[str, str]]:
        """What people read: (name, text)."""
        p = self.principle
        shots = {name: len(value) for name, value in p.few_shot if value}
        found = {
            "rationale": p.rationale or "",
            "sources": "; ".join(p.sources),
            "tags": ", ".join(p.tags),
            "reviewers": ", ".join(p.reviewers),
            "examples": ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in shots.items()),
            "accepted": "; ".join(f"{code}: {reason}" for code, reason in p.lint_ignore.items()),
        }
        return [(name, text) for name, text in found.items() if text]


@dataclass(frozen=True, slots=True)
class Group:
    """The principles of a category, or those without one."""

    category: Category | None
    tier: int
    items: tuple[Item, ...]

    @property
    def title(self) -> str:
        """Its name for people."""
        return "without a category" if self.category is None else self.category.title or self.category.id

    @property
    def counts(self) -> dict[str, int]:
        """How many principles, and how many with each wording."""
        return counts(item.principle for item in self.items)

    @property
    def chances(self) -> dict[Part, float]:
        """The probability that one draw falls into the category, by part."""
        return {part: sum(item.chances[part] for item in self.items) for part in PARTS}


@dataclass(frozen=True, slots=True)
class View:
    """What is shown."""

    constitution: Constitution
    groups: tuple[Group, ...]
    coverage: Coverage
    findings: tuple[Finding, ...]

    @property
    def items(self) -> list[Item]:
        """All principles in the order of the groups."""
        return [item for group in self.groups for item in group.items]

    @property
    def counts(self) -> dict[str, int]:
        """Of the whole."""
        return counts(self.constitution.principles)

    def covering(self, covers: Iterable[Cover]) -> list[str]:
        """The ids of the principles that cover any of these, in the order of the groups."""
        found = {id for cover in covers for id in cover.principles}  # noqa: A001
        return [item.principle.id for item in self.items if item.principle.id in found]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What stands at the head: (name, text)."""
        c = self.constitution
        how = c.sampling.strategy.replace("_", " ")
        only = f", tags {', '.join(c.sampling.tags)}" if c.sampling.tags else ""
        found = {
            "hash": c.hash,
            "authors": ", ".join(c.authors),
            "licence": c.licence or "",
            "drawn": f"{how}, {'without' if c.sampling.without_replacement else 'with'} replacement{only}",
            "examples": ", ".join(f"{len(value)} {name.replace('_', ' ')}" for name, value in c.few_shot if value),
            "sources": "; ".join(c.sources),
            "accepted": "; ".join(f"{code}: {reason}" for code, reason in c.lint_ignore.items()),
        }
        return [(name, text) for name, text in found.items() if text]


def build(source: Source, taxonomy: Taxonomy) -> View:
    """The view of a constitution that was read from a file."""
    constitution = source.constitution
    findings = lint(source, taxonomy=taxonomy)
    return View(constitution, _groups(constitution), coverage(constitution, taxonomy), tuple(findings))


def evidence(cover: Cover) -> dict[str, str]:
    """By what each principle covers something, by id: `tag “violence”, critique “hurt”`."""
    found: dict[str, dict[str, str]] = {}
    for e in cover.evidence:  # a category may show it by its id and by its title
        found.setdefault(e.principle, {}).setdefault(e.part, f"{e.part} “{e.words}”")
    return {principle: ", ".join(texts.values()) for principle, texts in found.items()}


def counts(principles: Iterable[Principle]) -> dict[str, int]:
    """How many principles, how many of them have each wording, and how many are retired."""
    found = list(principles)
    worded = {name: sum(getattr(p, name) is not None for p in found) for name in WORDINGS}
    return {"principles": len(found), **worded, "retired": sum(p.status == "retired" for p in found)}


def _groups(constitution: Constitution) -> tuple[Group, ...]:
    """By tier, then in the order of the file; the principles without a category come last in the first tier."""
    chances = {part: probabilities(constitution, part) for part in PARTS}
    tiers = constitution.tiers
    items: dict[str | None, list[Item]] = {}
    for p in constitution.principles:
        item = Item(p, tiers[p.id], {part: chances[part][p.id] for part in PARTS})
        items.setdefault(p.category, []).append(item)
    groups = [Group(c, c.tier, tuple(items.get(c.id, ()))) for c in constitution.categories]
    if None in items:
        groups.append(Group(None, 1, tuple(items[None])))
    return tuple(sorted(groups, key=lambda group: group.tier))


def to_dict(content: View) -> dict[str, Any]:
    """The whole document as plain data; its principles with hash, tier and probabilities; and what is derived."""
    document: dict[str, Any] = content.constitution.model_dump(mode="json")
    items = {item.principle.id: item for item in content.items}
    for row in document["principles"]:
        item = items[row["id"]]
        row |= {"hash": item.principle.hash, "tier": item.tier, "probabilities": item.chances}
    return {
        **document,
        "hash": content.constitution.hash,
        "part_hashes": {part: content.constitution.part_hash(part) for part in PARTS},
        "counts": content.counts,
        "groups": [_group_row(group) for group in content.groups],
        "coverage": asdict(content.coverage),
        "findings": json.loads(render(content.findings, "json")),
    }


def _group_row(group: Group) -> dict[str, Any]:
    return {
        "category": group.category.id if group.category else None,
        "tier": group.tier,
        **group.counts,
        "probabilities": group.chances,
    }
