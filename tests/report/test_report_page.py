from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from charter.core.records import Chain, Prompt, Round, user
from charter.core.tables import write_records
from charter.report import build
from charter.report.page import emphasise

CHROMIUM = Path("/usr/bin/chromium")
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


class Balance(HTMLParser):
    """Notes elements that are closed in the wrong order or not at all."""

    VOID = frozenset({"meta", "link", "br", "img", "rect", "circle", "line", "polyline", "polygon"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)


def parsed(html: str) -> Balance:
    parser = Balance()
    parser.feed(html)
    assert not parser.wrong
    assert not parser.open
    return parser


def test_the_page_has_every_part_in_its_order(run_folder: Path) -> None:
    path = build(run_folder)
    assert path == run_folder / "report.html"
    html = path.read_text(encoding="utf-8")
    assert parsed(html).tags.count("svg") == 2 + 2 + 3 + 1 + 4
    found = re.findall(r'<section id="([\w-]+)">', html)
    parts = [
        "results",
        "frontier",
        "rounds",
        "rl",
        "pm",
        "labels",
        "elo",
        "examples",
        "label-examples",
        "controls",
        "record",
    ]
    assert found == parts
    assert re.findall(r'<a href="#([\w-]+)">', html) == parts


def test_the_page_is_self_contained(run_folder: Path) -> None:
    html = build(run_folder).read_text(encoding="utf-8")
    assert "script" not in parsed(html).tags
    assert not re.search(r"https?://|@import|url\(", html)


def test_the_page_is_the_same_every_time(run_folder: Path) -> None:
    first = build(run_folder).read_bytes()
    assert build(run_folder).read_bytes() == first


def test_what_models_and_people_wrote_is_escaped(run_folder: Path) -> None:
    prompt = Prompt("evil", (user(EVIL),), kind="harmful")
    chain = Chain(prompt, 0, EVIL, (Round(EVIL, "0" * 16, EVIL, EVIL + EVIL), Round("harm", "0" * 16, None, EVIL)))
    write_records(run_folder / "evaluation" / "chains.parquet", [chain])
    manifest = json.loads((run_folder / "manifest.json").read_text())
    manifest["name"] = EVIL
    manifest["stages"]["sl"]["counts"] = {EVIL: EVIL}
    (run_folder / "manifest.json").write_text(json.dumps(manifest))
    metrics = json.loads((run_folder / "metrics.json").read_text())
    metrics["controls"] = {EVIL: {"what": EVIL, "before": EVIL, "after": 1, "explanation": EVIL}}
    (run_folder / "metrics.json").write_text(json.dumps(metrics))
    with (run_folder / "recipe.yaml").open("a") as file:
        file.write(f"comment: '{EVIL}'\n")
    html = build(run_folder).read_text(encoding="utf-8")
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("&lt;script&gt;") >= 12
    parsed(html)


def test_a_run_that_has_just_begun_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"stages": {"respond": {"state": "failed", "error": "out of <memory>"}}}')
    html = build(tmp_path).read_text(encoding="utf-8")
    parsed(html)
    assert re.findall(r'<section id="(\w+)">', html) == ["record"]
    assert "This run is not finished: respond (failed)." in html
    assert "out of &lt;memory&gt;" in html


@pytest.mark.parametrize("part", ["oracle", "elo", "labels", "pm", "controls", "critique_effect"])
def test_any_part_of_the_metrics_may_be_missing(run_folder: Path, part: str) -> None:
    metrics = json.loads((run_folder / "metrics.json").read_text())
    metrics[part] = None
    (run_folder / "metrics.json").write_text(json.dumps(metrics))
    parsed(build(run_folder).read_text(encoding="utf-8"))


def test_emphasis_is_escaped() -> None:
    assert emphasise("a < 5%, >99.9% & more") == "a &lt; <b>5%</b>, <b>&gt;99.9%</b> &amp; more"


def test_importing_the_report_loads_nothing_heavy() -> None:
    code = (
        "import sys, charter.report; print([m for m in ('jinja2', 'numpy', 'pyarrow', 'pydantic') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs /usr/bin/chromium")
def test_in_a_browser(run_folder: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    page_path = build(run_folder)
    copied = shutil.copy(page_path, run_folder.parent / "alone.html")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        for width in (375, 1280):
            page = browser.new_page(viewport={"width": width, "height": 900})
            requests: list[str] = []
            messages: list[str] = []
            page.on("request", lambda request, seen=requests: seen.append(request.url))
            page.on("console", lambda message, seen=messages: seen.append(message.text))
            page.on("pageerror", lambda error, seen=messages: seen.append(str(error)))
            page.goto(Path(copied).as_uri())
            page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            shown = page.evaluate("[...document.querySelectorAll('svg')].filter(svg => svg.checkVisibility()).length")
            assert shown == 1 + 1 + 3 + 1 + 2
            assert (requests, messages) == ([Path(copied).as_uri()], [])
            page.close()
        browser.close()
