"""The linter's pages, from the rules' own words: an index and one page for each rule."""

from __future__ import annotations

from charter.constitution.lint import GROUPS, RULES, Rule

_INTRO = """\
# The linter of constitutions

`charter constitution lint FILE...` reads principles as text and reports what is known to go wrong with them. It needs
no model. Each rule has a code, a severity, and a page that says exactly when it fires.

- `--select CC1,CC201` runs only these rules (codes, the beginnings of codes, or `ALL`); `--ignore CC3` leaves rules
  out. Where a rule is named by both, the longer name decides.
- In the file, `lint_ignore: {CC204: we revise directly on purpose}` accepts what a rule finds, at a principle or for
  the whole, with the reason.

What holds for all rules:

- *Wordings* are `critique`, `revision` and `comparison`. Retired principles are not looked at.
- What stands in quotes inside a wording is an example of what somebody says; it does not count, except where a page
  says so. A quotation that ends the wording and that the wording calls its principle, rule or statement, or what the
  assistant says of itself, is no example but the demand.
- Negations are understood: *not*, *never*, *without*, *avoid*, *less*, *too* and the like cover up to eight words
  that follow, up to the next full stop, semicolon, colon, bracket or dash, or a word such as *but*, *with*,
  *because*, *if*.
- A rule reports a wording once, however often it fires there. Of a wording, 20,000 characters are read.
- The rules are written for English. Other languages are read as text too, and most rules then find nothing.
"""


NOTE = "<!-- Written by docs/generate.py; do not edit. -->\n\n"


def lint_pages() -> list[tuple[str, str]]:
    """Each page's path under docs/, and its text."""
    return [("lint/index.md", NOTE + _index()), *((f"lint/{_file(r)}", NOTE + _page(r)) for r in RULES.values())]


def _file(rule: Rule) -> str:
    return f"{rule.code}-{rule.name}.md"


def _index() -> str:
    lines = [_INTRO]
    for prefix, title in GROUPS.items():
        lines += [f"## {prefix}xx: {title}\n", "| code | rule | severity | |", "|---|---|---|---|"]
        for rule in RULES.values():
            if rule.code.startswith(prefix):
                severity = rule.severity if rule.default else f"{rule.severity}, off by default"
                lines.append(f"| [{rule.code}]({_file(rule)}) | {rule.name} | {severity} | {_cell(rule.what)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text.endswith((".'", "?'")) else ".")


def _page(rule: Rule) -> str:
    off = "" if rule.default else " Off by default."
    return f"""\
# {rule.code}: {rule.name}

Severity: {rule.severity}.{off}

{rule.what}

## When it fires

{rule.fires}

## What it leaves alone

{rule.spares}

## Why

{rule.why}

## Cure

{_sentence(rule.cure)}

## Example

It fires on this:

```yaml
{rule.example_bad.rstrip()}
```

and not on this:

```yaml
{rule.example_good.rstrip()}
```

## Source

{rule.source}.
"""
