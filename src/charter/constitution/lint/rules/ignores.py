"""CC901: ignores that ignore nothing. The linter itself looks for them, once the other rules have run."""

from __future__ import annotations

from charter.constitution.lint.rule import Rule

UNUSED = Rule(
    code="CC901",
    name="unused-ignore",
    severity="warning",
    what="An entry of `lint_ignore` ignores a rule that does not fire there.",
    fires="A principle's or the constitution's `lint_ignore` names a rule that was run and has nothing to report "
    "there. A rule that concerns two principles may be ignored at either of them.",
    spares="Entries for rules that were not run, because of `--select`, `--ignore`, or because they are off by "
    "default; entries of retired principles, which are not linted. A code that does not exist is an error.",
    why="It stays behind when the wording is corrected, and hides the next fault of the same kind.",
    cure="remove the entry",
    source="Known from linters of programming languages",
    example_bad="""\
name: example
principles:
  - id: harm
    comparison: Which answer is less harmful?
    lint_ignore: {CC102: the figure is meant}
""",
    example_good="""\
name: example
principles:
  - id: harm
    comparison: Which answer is less harmful?
""",
    check=lambda _: (),
)

RULES = (UNUSED,)
