"""How well the linter agrees with people who judged constitutions from the docs' pages alone: precision and recall.

python -m benchmarks.lint_agreement            over what ships, and over ../shared where it is there

tests/constitution/lint/verdicts.jsonl has for every constitution a row that says what was read, and for which rules:
    {"constitution": "library:harmless", "hash": "...", "read": {"crime": "...", ...},
     "codes": {"principle": ["CC101", ...], "whole": ["CC301", ...]}}
and a row for each case in which a rule should fire (null: the reader could not say; left out):
    {"constitution": "library:harmless", "principle": "crime", "code": "CC104", "fires": true, "why": "..."}
`principle` is null for rules about the whole. Where a row was not written, the rule should not fire. The hashes are
those of the texts that were read: what has changed since is counted as stale and left out.

The readers were two language models that had the pages of docs/lint/ and the texts, and neither the linter nor what it
says; they are not people, and the linter's author had seen most of the texts. The library's texts are kept as they were
read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from charter.constitution.lint import RULES, lint
from charter.constitution.load import Source, read
from charter.constitution.schema import Constitution
from charter.core.errors import InputError

ROOT = Path(__file__).parent.parent
VERDICTS = ROOT / "tests" / "constitution" / "lint" / "verdicts.jsonl"
SHARED = ROOT.parent / "shared" / "data"


@dataclass
class Agreement:
    """Counts of one rule, or of all."""

    hits: int = 0
    false_alarms: int = 0
    misses: int = 0
    rest: int = 0

    @property
    def precision(self) -> float | None:
        return self.hits / (self.hits + self.false_alarms) if self.hits + self.false_alarms else None

    @property
    def recall(self) -> float | None:
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else None

    def add(self, said: bool, judged: bool) -> None:
        name = {(True, True): "hits", (True, False): "false_alarms", (False, True): "misses", (False, False): "rest"}
        setattr(self, name[said, judged], getattr(self, name[said, judged]) + 1)


@dataclass
class Result:
    rules: dict[str, Agreement] = field(default_factory=dict)
    total: Agreement = field(default_factory=Agreement)
    disagreements: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def verdicts(path: Path = VERDICTS) -> Iterator[dict[str, Any]]:
    """One row for each rule and each principle (or whole) that was read: constitution, principle, hash, code, fires."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    said = {(r["constitution"], r["principle"], r["code"]): r["fires"] for r in rows if "read" not in r}
    for row in rows:
        if "read" in row:
            label, codes = row["constitution"], row["codes"]
            cases = [(name, text, code) for name, text in row["read"].items() for code in codes["principle"]]
            for name, text, code in [*cases, *((None, row["hash"], code) for code in codes["whole"])]:
                fires = said.get((label, name, code), False)
                if fires is not None:
                    yield {"constitution": label, "principle": name, "hash": text, "code": code, "fires": fires}


def measure(rows: Iterable[dict[str, Any]]) -> Result:
    """The linter against the verdicts."""
    result = Result()
    for row in rows:
        source = find(row["constitution"])
        state = "not there" if source is None else "stale" if stale(source.constitution, row) else None
        if source is None or state:
            result.left_out[state or ""] += 1
            continue
        said, judged = (row["principle"], row["code"]) in fired(row["constitution"]), bool(row["fires"])
        result.total.add(said, judged)
        result.rules.setdefault(row["code"], Agreement()).add(said, judged)
        if said != judged:
            kind = "false alarm" if said else "miss"
            result.disagreements.append(f"{kind}: {row['constitution']} {row['principle'] or '-'} {row['code']}")
    return result


@cache
def find(label: str) -> Source | None:
    """What a label names: of the library, a path from the repository's root, or one under ../shared/data."""
    for name in (label, str(ROOT / label), str(SHARED / label)):
        if label.startswith("library:") or Path(name).exists():
            try:
                return read(name)
            except InputError:
                return None
    return None


def stale(constitution: Constitution, row: dict[str, Any]) -> bool:
    principle = next((p for p in constitution.principles if p.id == row["principle"]), None)
    if row["principle"] is not None and principle is None:
        return True
    return row["hash"] != (principle.hash if principle else constitution.hash)


@cache
def fired(label: str) -> frozenset[tuple[str | None, str]]:
    """Which rules fire where, what the file ignores included."""
    source = find(label)
    assert source is not None
    constitution = source.constitution
    bare = constitution.model_copy(
        update={
            "lint_ignore": {},
            "principles": tuple(p.model_copy(update={"lint_ignore": {}}) for p in constitution.principles),
        }
    )
    return frozenset((f.principle, f.code) for f in lint(Source(bare, source.name, source.place), select=["ALL"]))


def table(result: Result) -> str:
    lines = ["rule                             judged  hits  false alarms  misses  precision  recall"]
    named = [(f"{c} {RULES[c].name}", a) for c, a in sorted(result.rules.items())]
    for name, a in [*named, ("all", result.total)]:
        judged = a.hits + a.false_alarms + a.misses + a.rest
        figures = f"{judged:6}  {a.hits:4}  {a.false_alarms:12}  {a.misses:6}"
        lines.append(f"{name:31}  {figures}  {_share(a.precision):>9}  {_share(a.recall):>6}")
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def main() -> None:
    result = measure(verdicts())
    print(table(result))
    for reason, count in sorted(result.left_out.items()):
        print(f"{count} verdicts left out: {reason}")
    print(*result.disagreements, sep="\n")


if __name__ == "__main__":
    main()
