"""What was run: stages, versions, principles and the recipe, for the end of the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from charter.report import wording
from charter.report.examples import principles
from charter.report.files import RunFiles, at, real, text


@dataclass(frozen=True)
class StageRecord:
    """One stage, in words."""

    name: str
    state: str
    seconds: str
    tokens: str
    counts: str
    fingerprint: str


@dataclass(frozen=True)
class PrincipleRecord:
    """One principle: `parts` are (name, text) of what it has of critique, revision, comparison and rationale."""

    id: str
    about: str
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RunRecord:
    """What was run. `facts` are (name, value); `versions` the software's."""

    facts: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    stages: tuple[StageRecord, ...]
    total: str
    constitution: str
    principles: tuple[PrincipleRecord, ...]
    recipe: str


def run_record(files: RunFiles) -> RunRecord:
    """Gather the record of a run."""
    stages = at(files.manifest, "stages")
    stages = stages if isinstance(stages, Mapping) else {}
    spent = [real(stage, "seconds") or 0.0 for stage in stages.values()]
    return RunRecord(
        facts=_facts(files),
        versions=_versions(stages),
        stages=tuple(_stage(name, stage, files.metrics) for name, stage in stages.items()),
        total=wording.seconds(sum(spent)) if any(spent) else "",
        constitution=" ".join(part for part in (text(files.constitution, k) for k in ("name", "version")) if part),
        principles=tuple(_principle(p) for p in principles(files.constitution).values()),
        recipe=files.recipe_text,
    )


def _facts(files: RunFiles) -> tuple[tuple[str, str], ...]:
    wanted = (
        ("Charter", "charter"),
        ("Seed", "seed"),
        ("Recipe fingerprint", "recipe_fingerprint"),
        ("Constitution hash", "constitution_hash"),
        ("Parent run", "parent"),
    )
    return tuple((name, value) for name, key in wanted if (value := text(files.manifest, key)))


def _versions(stages: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Every version that a stage ran with; more than one where a run was resumed after an upgrade."""
    found: dict[str, list[str]] = {}
    for stage in stages.values():
        versions = at(stage, "versions")
        for name, version in versions.items() if isinstance(versions, Mapping) else ():
            known = found.setdefault(str(name), [])
            if str(version) not in known:
                known.append(str(version))
    return tuple((name, ", ".join(found[name])) for name in sorted(found))


def _stage(name: str, stage: object, metrics: object) -> StageRecord:
    counts = at(stage, "counts")
    counts = counts if isinstance(counts, Mapping) else {}
    tokens = real(metrics, "tokens", name)
    if tokens is None:
        parts = [value for key in counts if "tokens" in str(key) and (value := real(counts, key)) is not None]
        tokens = sum(parts) if parts else None
    shown = [
        f"{str(key).replace('_', ' ')} {wording.number(value)}"
        for key, value in counts.items()
        if "tokens" not in str(key)
    ]
    notes = [text(stage, "state"), text(stage, "error")]
    if text(stage, "reused_from"):
        notes.append(f"reused from {text(stage, 'reused_from')}")
    return StageRecord(
        name=name,
        state=", ".join(note for note in notes if note),
        seconds=wording.seconds(real(stage, "seconds")),
        tokens=wording.number(tokens),
        counts=", ".join(shown),
        fingerprint=text(stage, "fingerprint"),
    )


def _principle(principle: object) -> PrincipleRecord:
    about = [text(principle, "category"), text(principle, "severity")]
    weight = real(principle, "weight")
    if weight is not None and weight != 1:
        about.append(f"weight {wording.number(weight)}")
    return PrincipleRecord(
        id=text(principle, "id"),
        about=" · ".join(part for part in about if part),
        parts=tuple(
            (name, words)
            for name in ("critique", "revision", "comparison", "rationale")
            if (words := text(principle, name))
        ),
    )
