"""The rules, in one explicit table. A rule is a declared object with a small function."""

from __future__ import annotations

from charter.constitution.lint.rule import Rule
from charter.constitution.lint.rules import (
    conflicts,
    demands,
    drawing,
    duplicates,
    few_shot,
    form,
    gaps,
    ignores,
    phrasing,
    specificity,
    structure,
)

_MODULES = (phrasing, specificity, demands, form, conflicts, duplicates, structure, gaps, few_shot, drawing, ignores)

RULES: dict[str, Rule] = {
    rule.code: rule for rule in sorted((r for m in _MODULES for r in m.RULES), key=lambda rule: rule.code)
}
"""Every rule by its code."""
