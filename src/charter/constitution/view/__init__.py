"""A constitution as people read it: the whole as data (`build`, `to_dict`), and as text, Markdown or one HTML page."""

from __future__ import annotations

from charter.constitution.view.content import View, build, to_dict
from charter.constitution.view.pages import html, markdown
from charter.constitution.view.terminal import terminal

__all__ = ["View", "build", "html", "markdown", "terminal", "to_dict"]
