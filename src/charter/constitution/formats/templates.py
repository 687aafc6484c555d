"""Wordings made from a statement, for formats that say what a model should be like but ask for nothing.

The statement stands in each wording, unchanged, so that it can be taken out again.
"""

from __future__ import annotations

from dataclasses import dataclass

from charter.constitution.schema import Principle


@dataclass(frozen=True, slots=True)
class Wordings:
    """What stands before and after a statement in each wording; `{}` is its place."""

    comparison: str
    critique: str
    revision: str

    def of(self, statement: str) -> dict[str, str]:
        """The three wordings of a principle."""
        return {part: getattr(self, part).replace("{}", statement) for part in ("comparison", "critique", "revision")}

    def statement(self, principle: Principle) -> str | None:
        """The statement that a principle's wordings were made from; None where they were not."""
        before, after = self.comparison.split("{}")
        worded = principle.comparison or ""
        statement = worded.removeprefix(before).removesuffix(after)
        made = self.of(statement)
        return statement if statement and all(getattr(principle, part) == text for part, text in made.items()) else None


PRINCIPLE = Wordings(
    comparison='Which answer keeps better to this principle? "{}"',
    critique='Does the assistant\'s last answer fall short of this principle, and if so, where? "{}"',
    revision='Rewrite the answer so that it keeps to this principle: "{}"',
)
TRAIT = Wordings(
    comparison='Which answer would rather come from an assistant that says this of itself? "{}"',
    critique='Does the last answer fit an assistant that says this of itself, and if not, where? "{}"',
    revision='Rewrite the answer as an assistant would give it that says this of itself: "{}"',
)
