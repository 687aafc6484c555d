"""The linter: rules with stable codes over a constitution, and what it covers of a taxonomy of harms.

The rules are lexical: they read wordings as text and need no model. Each has a page in docs/lint that says exactly when
it fires. What a team accepts it ignores in the file, with the reason: `lint_ignore: {CC204: we revise directly}`.
"""

from __future__ import annotations

from charter.constitution.lint.coverage import Cover, Coverage, Evidence, coverage
from charter.constitution.lint.engine import lint
from charter.constitution.lint.render import FORMATS, explain, render
from charter.constitution.lint.rule import GROUPS, Finding, Rule, Severity
from charter.constitution.lint.rules import RULES
from charter.constitution.lint.selection import lint_codes
from charter.constitution.lint.taxonomy import Hazard, Taxonomy

__all__ = [
    "FORMATS",
    "GROUPS",
    "RULES",
    "Cover",
    "Coverage",
    "Evidence",
    "Finding",
    "Hazard",
    "Rule",
    "Severity",
    "Taxonomy",
    "coverage",
    "explain",
    "lint",
    "lint_codes",
    "render",
]
