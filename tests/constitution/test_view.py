"""A constitution as people read it: as data, on a terminal, in Markdown, as a page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from charter.constitution import view
from charter.constitution.lint import Taxonomy
from charter.constitution.load import read
from charter.constitution.view import View
from charter.constitution.view.content import evidence
from charter.constitution.view.pages import plain
from charter.constitution.view.wording import drawn, percent, plural, tally

CHROMIUM = Path("/usr/bin/chromium")
EVIL = "<script>alert(1)</script> *b* [l](javascript:x) `c` | # h"
TEXT = f"""\
name: small
description: |
  # not a heading
  {EVIL}
categories:
  - {{id: second, tier: 2, weight: 1}}
  - {{id: first, title: First of all, tier: 1, weight: 3}}
  - {{id: empty, tier: 3}}
dimensions: [kindness]
sampling: {{strategy: category_weight}}
principles:
  - id: harm
    category: first
    severity: high
    critique: Does the last answer help to hurt a person?
    revision: Rewrite the answer so that it helps nobody to hurt a person.
    comparison: Which answer gives less help with violence?
    tags: [violent-crimes]
    rationale: |
      {EVIL}

      1. A second line
    few_shot: {{critique_revision: ["\\n\\nHuman: hello"]}}
  - id: which
    category: second
    comparison: Which answer is clearer?
  - {{id: loose, revision: Be brief.}}
  - {{id: old, category: first, comparison: Which is older?, status: retired}}
"""


@pytest.fixture
def content(tmp_path: Path) -> View:
    (tmp_path / "c.yaml").write_text(TEXT, encoding="utf-8")
    return view.build(read(tmp_path / "c.yaml"), Taxonomy.load())


class Balance(HTMLParser):
    """Notes elements that are closed in the wrong order or not at all."""

    VOID = frozenset({"meta", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_groups_are_in_order_of_their_tiers(content: View) -> None:
    assert [(group.tier, group.title, [i.principle.id for i in group.items]) for group in content.groups] == [
        (1, "First of all", ["harm", "old"]),
        (1, "without a category", ["loose"]),
        (2, "second", ["which"]),
        (3, "empty", []),
    ]


def test_counts_and_chances(content: View) -> None:
    assert content.counts == {"principles": 4, "critique": 1, "revision": 2, "comparison": 3, "retired": 1}
    chances = {item.principle.id: item.chances for item in content.items}
    assert chances == {  # categories weigh 3, 1 (loose, without one) and 1
        "harm": {"revision": 0.75, "comparison": 0.75},
        "old": {"revision": 0.0, "comparison": 0.0},
        "loose": {"revision": 0.25, "comparison": 0.0},
        "which": {"revision": 0.0, "comparison": 0.25},
    }
    assert content.groups[0].chances == {"revision": 0.75, "comparison": 0.75}


def test_what_covers_what(content: View) -> None:
    cover = content.coverage.hazards[0]
    assert cover.title == "Violent Crimes"
    assert evidence(cover)["harm"].startswith("tag “violent-crimes”, ")
    assert "comparison “violence”" in evidence(cover)["harm"]
    assert content.covering([cover]) == ["harm"]
    (kindness,) = (cover for cover in content.coverage.dimensions if cover.id == "kindness")
    assert evidence(kindness) == {}


def test_the_data_is_json(content: View) -> None:
    data = view.to_dict(content)
    assert json.loads(json.dumps(data, allow_nan=False))["principles"][0]["probabilities"] == {
        "revision": 0.75,
        "comparison": 0.75,
    }
    assert {finding["severity"] for finding in data["findings"]} <= {"error", "warning", "info"}


def test_on_a_terminal(content: View) -> None:
    text = view.terminal(content)
    assert "\x1b" not in text
    assert EVIL[:25] in text
    assert text.index("tier 1 · First of all") < text.index("tier 2 · second")
    assert "drawn for 75% of revisions, 75% of comparisons" in text
    assert "retired · never drawn" in text
    assert "kindness" in text
    alone = view.terminal(content, coverage_alone=True)
    assert "Rewrite the answer" not in alone
    assert "harm: tag “violent-crimes”" in alone


def test_a_terminal_has_colours(content: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = view.terminal(content)
    assert "\x1b[1m" in text
    assert "\x1b" not in view.terminal(content, to_screen=False)
    bare = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert max(map(len, bare.splitlines())) <= 60


def test_markdown_escapes_markup(content: View) -> None:
    text = view.markdown(content)
    assert "<script" not in text.replace("\\<script", "")
    assert "\\*b\\*" in text
    assert re.findall(r"^#+ .*", text, re.MULTILINE)[:3] == [
        "# small 1.0.0",
        "## First of all (tier 1)",
        "### harm",
    ]
    assert "\n\n\n" not in text
    assert "Rewrite" not in view.markdown(content, coverage_alone=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b", r"a\_b"),
        ("- a", r"\- a"),
        ("1. a\n2) b", "1\\. a\n2\\) b"),
        ("in 1999.", "in 1999."),
        ("a - b", "a - b"),
    ],
)
def test_plain_text_in_markdown(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_the_page_is_whole_and_self_contained(content: View) -> None:
    for html in (view.html(content), view.html(content, coverage_alone=True)):
        parser = Balance()
        parser.feed(html)
        assert parser.open == []
        assert not parser.tags & {"script", "img", "iframe", "object"}
        assert not re.search(r"https?://|@import|url\(", html)
        targets = set(re.findall(r' id="([^"]+)"', html))
        assert set(re.findall(r'href="#([^"]+)"', html)) <= targets
    assert re.findall(r'<section id="([\w-]+)">', view.html(content)) == [
        "overview",
        "group-1",
        "group-2",
        "group-3",
        "coverage",
        "linter",
    ]
    assert view.html(content).count("&lt;script&gt;") == 2


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "never"), (1, "100%"), (0.0625, "6.2%"), (0.125, "12.5%"), (0.5, "50%"), (1e-5, "<0.1%"), (0.9999, ">99.9%")],
)
def test_percent(share: float, words: str) -> None:
    assert percent(share) == words


def test_words() -> None:
    assert drawn({"revision": 0.0, "comparison": 0.0}) == "never drawn"
    assert drawn({"revision": 0.0, "comparison": 1.0}) == "drawn for 100% of comparisons"
    assert (plural(1, "principle"), plural(1200, "principle")) == ("1 principle", "1,200 principles")
    counts = {"principles": 1, "critique": 0, "revision": 0, "comparison": 1, "retired": 1}
    assert tally(counts) == "1 principle: 0 with a critique, 0 with a revision, 1 with a comparison, 1 retired"


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs /usr/bin/chromium")
def test_in_a_browser(content: View, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    path = tmp_path / "alone.html"
    path.write_text(view.html(content), encoding="utf-8")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        for width in (375, 1280):
            page = browser.new_page(viewport={"width": width, "height": 900})
            seen: list[str] = []
            page.on("request", lambda request, seen=seen: seen.append(request.url))
            page.on("console", lambda message, seen=seen: seen.append(message.text))
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert seen == [path.as_uri()]
            page.close()
        browser.close()
