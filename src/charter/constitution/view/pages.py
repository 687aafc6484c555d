"""The view as one HTML page, or as Markdown. The templates escape everything; only our own stylesheet goes in as it
is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from charter.constitution.view import wording
from charter.constitution.view.content import View, evidence

TEMPLATES = Path(__file__).parent / "templates"
_MARKUP = re.compile(r"[\\`*_\[\]<>|#~$]|^[-+=]", re.MULTILINE)
_NUMBER = re.compile(r"^(\d+)([.)])", re.MULTILINE)


def html(content: View, *, coverage_alone: bool = False) -> str:
    """One self-contained page."""
    from markupsafe import Markup

    style = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704  our own
    return _render("page.html.j2", content, coverage_alone=coverage_alone, style=style)


def markdown(content: View, *, coverage_alone: bool = False) -> str:
    """Markdown, as GitHub reads it."""
    text = _render("page.md.j2", content, coverage_alone=coverage_alone)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def plain(text: object) -> str:
    """A text with nothing in it that Markdown would take for markup."""
    return _NUMBER.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", str(text)))


def _render(template: str, content: View, **values: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=wording.percent,
        number=wording.number,
        drawn=wording.drawn,
        tally=wording.tally,
        plain=plain,
        evidence=evidence,
    )
    return environment.get_template(template).render(view=content, law=content.constitution, **values)
