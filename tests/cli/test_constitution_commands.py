"""`charter constitution`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from charter import cli
from charter.constitution import Constitution, dump, library, load
from charter.constitution.formats import FORMATS
from charter.constitution.lint import RULES
from charter.core.yaml import parse_yaml

GOOD = """\
name: small
version: 2.1.0
description: For tests.
categories:
  - {id: safety, title: Safety, tier: 1, weight: 3}
principles:
  - id: harm
    category: safety
    severity: high
    tags: [violence]
    critique: Does the last answer give steps that would help somebody to hurt a person?
    revision: Rewrite the answer so that nobody is helped to hurt a person, and say why.
    comparison: Which answer gives less help with hurting a person, and says why?
  - id: plain
    comparison: Which answer is clearer?
"""
BROKEN = "name: broken\nprinciples:\n  - id: one\n    comparisn: which\n"


def fires() -> str:
    """A constitution on which a rule of severity error or warning fires."""
    return next(rule.example_bad for rule in RULES.values() if rule.severity == "warning" and rule.default)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a good, a broken and a faulty constitution."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("good.yaml", GOOD), ("broken.yaml", BROKEN), ("faulty.yaml", fires())):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


class Result:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, captured: Any) -> None:
        self.code, self.out, self.err = code, captured.out, captured.err
        assert "Traceback" not in self.err
        assert "\x1b" not in self.out + self.err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def command(*arguments: object) -> Result:
        code = cli._guarded(["constitution", *map(str, arguments)])
        return Result(code, capsys.readouterr())

    return command


# lint ----------------------------------------------------------------------------------------------------------------


def test_lint_of_what_is_clean(run: Any) -> None:
    found = run("lint", "library:harmless")
    assert (found.code, found.err) == (0, "")


def test_lint_of_what_is_not(run: Any) -> None:
    found = run("lint", "faulty.yaml")
    assert found.code == 1
    assert re.search(r"^faulty\.yaml:\d+:\d+: .*\bCC\d+", found.out, re.MULTILINE)


def test_lint_checks_the_others_when_one_cannot_be_read(run: Any) -> None:
    found = run("lint", "missing.yaml", "faulty.yaml", "broken.yaml", "--format", "json")
    assert found.code == 2
    assert "missing.yaml: there is no such file" in found.err
    assert "broken.yaml:4:" in found.err
    assert "did you mean 'comparison'" in found.err
    assert found.json  # findings of the file between them, and JSON alone


def test_advice_is_no_finding(run: Any) -> None:
    found = run("lint", "faulty.yaml", "--format", "json")
    severities = {row["severity"]: row["code"] for row in found.json}
    if "info" in severities:
        assert run("lint", "faulty.yaml", "--select", severities["info"]).code == 0
    assert run("lint", "faulty.yaml", "--select", severities["warning"]).code == 1


def test_select_and_ignore(run: Any) -> None:
    codes = sorted({row["code"] for row in run("lint", "faulty.yaml", "--format", "json").json})
    assert codes
    for option, expected in (("--select", codes[:1]), ("--ignore", codes[1:])):
        found = run("lint", "faulty.yaml", option, codes[0], "--format", "json")
        assert sorted({row["code"] for row in found.json}) == expected
    everything = run("lint", "faulty.yaml", "--ignore", f"{','.join(codes[:1])}, {','.join(codes[1:])}")
    assert everything.code == 0
    assert run("lint", "faulty.yaml", *(part for code in codes for part in ("--ignore", code))).code == 0


@pytest.mark.parametrize("option", ["--select", "--ignore", "--explain"])
def test_an_unknown_code(run: Any, option: str) -> None:
    found = run("lint", "good.yaml", option, "CC999x")
    assert found.code == 2
    assert "CC999x" in found.err
    assert found.out == ""


def test_explain(run: Any) -> None:
    for code, rule in RULES.items():
        found = run("lint", "--explain", code)
        assert found.code == 0
        assert code in found.out
        assert rule.name in found.out


def test_only_a_terminal_is_given_colours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    from contextlib import redirect_stdout

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, no_color, coloured in ((Terminal(), "", True), (io.StringIO(), "", False), (Terminal(), "1", False)):
        monkeypatch.setenv("NO_COLOR", no_color)
        with redirect_stdout(stream):
            assert cli._guarded(["constitution", "lint", "faulty.yaml"]) == 1
        assert ("\x1b[33m\x1b[1mCC" in stream.getvalue()) == coloured
        assert ("\x1b" in stream.getvalue()) == coloured


def test_an_unknown_code_in_a_file_is_that_file_s_fault(run: Any, folder: Path) -> None:
    (folder / "odd.yaml").write_text(GOOD + "lint_ignore: {CC999x: why not}\n")
    found = run("lint", "odd.yaml", "faulty.yaml", "--format", "json")
    assert found.code == 2
    assert "odd.yaml:16:" in found.err
    assert found.json


def test_lint_needs_a_file(run: Any) -> None:
    found = run("lint")
    assert found.code == 2
    assert "FILE" in found.err


@pytest.mark.parametrize("format_", ["sarif", "github"])
def test_formats_for_other_tools(run: Any, format_: str) -> None:
    found = run("lint", "faulty.yaml", "--format", format_)
    assert found.code == 1
    if format_ == "sarif":
        assert found.json["version"] == "2.1.0"
        assert found.json["runs"][0]["results"]
    else:
        assert all(line.startswith(("::error", "::warning", "::notice")) for line in found.out.splitlines())


def test_lint_into_a_file_and_never_over_an_input(run: Any, folder: Path) -> None:
    assert run("lint", "faulty.yaml", "-o", "found/out.txt").code == 1
    assert "faulty.yaml" in (folder / "found/out.txt").read_text()
    found = run("lint", "faulty.yaml", "-o", "./faulty.yaml")
    assert found.code == 2
    assert "would overwrite what was read" in found.err
    assert (folder / "faulty.yaml").read_text() == fires()
    assert "this is a folder" in run("lint", "faulty.yaml", "-o", folder).err
    assert "this is a file, not a folder" in run("lint", "faulty.yaml", "-o", "good.yaml/x").err


def test_another_taxonomy(run: Any) -> None:
    found = run("lint", "good.yaml", "--taxonomy", "missing.yaml")
    assert found.code == 2
    assert "missing.yaml: there is no such file" in found.err
    assert run("lint", "good.yaml", "--taxonomy", "good.yaml").code == 2


# show ----------------------------------------------------------------------------------------------------------------


def test_show_as_json(run: Any) -> None:
    data = run("show", "good.yaml", "--json").json
    law = load("good.yaml")
    assert (data["hash"], data["name"], data["version"]) == (law.hash, "small", "2.1.0")
    assert [(p["id"], p["hash"], p["tier"]) for p in data["principles"]] == [
        ("harm", law.principle("harm").hash, 1),
        ("plain", law.principle("plain").hash, 1),
    ]
    chances = {p["id"]: p["probabilities"] for p in data["principles"]}
    assert chances == {"harm": {"revision": 1.0, "comparison": 0.5}, "plain": {"revision": 0.0, "comparison": 0.5}}
    assert data["counts"] == {"principles": 2, "critique": 1, "revision": 1, "comparison": 2, "retired": 0}
    assert [(g["category"], g["principles"]) for g in data["groups"]] == [("safety", 1), (None, 1)]
    derived = {"hash", "part_hashes", "counts", "groups", "coverage", "findings"}
    document = {key: value for key, value in data.items() if key not in derived}
    for principle in document["principles"]:
        for name in ("hash", "tier", "probabilities"):
            del principle[name]
    assert Constitution.model_validate(document) == law


def test_show_for_people(run: Any) -> None:
    text = run("show", "good.yaml").out
    for words in ("small 2.1.0", load("good.yaml").hash, "Safety", "drawn for 100% of revisions, 50% of comparisons"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 100


def test_show_coverage_alone(run: Any) -> None:
    whole = run("show", "good.yaml", "--json").json
    assert run("show", "good.yaml", "--coverage", "--json").json == whole["coverage"]
    text = run("show", "good.yaml", "--coverage").out
    assert "nothing" in text  # two principles do not cover everything
    assert "Which answer" not in text


def test_show_as_a_page(run: Any, folder: Path) -> None:
    assert run("show", "good.yaml", "--format", "html", "-o", "out.html").out == ""
    assert (folder / "out.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert run("show", "good.yaml", "--format", "markdown").out.startswith("# small 2.1.0\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "missing.yaml"], "missing.yaml: there is no such file"),
        (["show", "broken.yaml"], "broken.yaml:4:"),
        (["show", "library:harmles"], "did you mean library:harmless?"),
        (["show", "empty"], "empty: "),
        (["show", "good.yaml", "--taxonomy", "missing.yaml"], "missing.yaml: there is no such file"),
        (["show", "good.yaml", "--format", "pdf"], "'pdf' is not one of"),
        (["diff", "good.yaml", "missing.yaml"], "missing.yaml: there is no such file"),
        (["diff", "good.yaml", "good.yaml", "--run", "empty"], "empty"),
        (["import", "missing.txt", "-o", "new.yaml"], "missing.txt: there is no such file"),
        (["import", "good.yaml", "-o", "new.yaml", "--format", "nothing"], "there is no format 'nothing'"),
        (["export", "good.yaml", "--format", "nothing", "-o", "new"], "there is no format 'nothing'"),
        (["export", "missing.yaml", "--format", "charter", "-o", "new"], "missing.yaml: there is no such file"),
        (["nothing"], "No such command"),
    ],
)
def test_bad_input(run: Any, folder: Path, arguments: list[str], words: str) -> None:
    (folder / "empty").mkdir()
    found = run(*arguments)
    assert found.code == 2
    assert words in found.err
    assert found.out == ""
    assert not (folder / "new").exists()
    assert not (folder / "new.yaml").exists()


# list, schema, import, export, diff ----------------------------------------------------------------------------------


def test_list(run: Any) -> None:
    data = run("list", "--json").json
    assert [row["source"] for row in data] == [f"library:{name}" for name in library.names()]
    assert all(row["principles"] > 0 and len(row["hash"]) == 16 for row in data)
    text = run("list").out
    assert all(row["source"] in text for row in data)


def test_schema(run: Any, folder: Path) -> None:
    schema = run("schema").json
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert run("schema", "-o", "s.json").code == 0
    assert json.loads((folder / "s.json").read_text()) == schema


def test_import_overwrites_nothing(run: Any, folder: Path) -> None:
    (folder / "list.md").write_text("- Which answer is kinder?\n- Which answer is clearer?\n")
    found = run("import", "list.md", "-o", "new.yaml")
    assert (found.code, found.out) == (0, "new.yaml\n")
    assert len(load("new.yaml").principles) == 2
    again = run("import", "list.md", "-o", "new.yaml")
    assert again.code == 2
    assert "new.yaml: the file is there already\n  cure: name another file, or add --force" in again.err
    assert run("import", "list.md", "-o", "new.yaml", "--force").code == 0
    assert run("import", "list.md", "-o", "list.md", "--force").code == 2


def test_there_and_back(run: Any, folder: Path) -> None:
    dump(load("library:harmless"), folder / "mine.yaml")
    for name, form in FORMATS.items():
        found = run("export", "mine.yaml", "--format", name, "-o", f"out-{name}")
        if form.render is None:
            assert found.code == 2
            continue
        assert found.code == 0
        paths = [Path(line) for line in found.out.splitlines()]
        assert paths
        assert all(path.is_file() for path in paths)
        assert all(line.startswith("lost: ") for line in found.err.splitlines())
        assert run("export", "mine.yaml", "--format", name, "-o", f"out-{name}").code == 2
        assert run("export", "mine.yaml", "--format", name, "-o", f"out-{name}", "--force").code == 0


def test_diff(run: Any, folder: Path) -> None:
    (folder / "new.yaml").write_text(GOOD.replace("Which answer is clearer?", "Which answer is easier to read?"))
    found = run("diff", "good.yaml", "new.yaml")
    assert found.code == 0
    assert "plain" in found.out
    assert "harm" not in found.out
    data = run("diff", "good.yaml", "new.yaml", "--json").json
    assert list(data) == ["diff"]
    assert data["diff"]["old_hash"] != data["diff"]["new_hash"]
    assert run("diff", "good.yaml", "good.yaml").code == 0


def test_diff_with_a_run(
    run: Any, project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = project.parent / "run"
    assert cli._guarded(["run", str(project / "recipe.yaml"), "--out", str(out), "--until", "revise"]) == 0
    capsys.readouterr()
    old, new = project / "constitution.yaml", project / "new.yaml"
    new.write_text(old.read_text().replace("make it right", "make it better"))
    data = run("diff", old, new, "--run", out, "--json").json
    assert sorted(data) == ["diff", "run"]
    text = run("diff", old, new, "--run", out).out
    assert text.startswith(run("diff", old, new).out.rstrip())
    assert "revise" in text


# the whole process ---------------------------------------------------------------------------------------------------


def test_lint_of_200_principles_takes_less_than_half_a_second(folder: Path) -> None:
    what = ["hurt a person", "steal a car", "break into a house", "insult a stranger", "write malware"]
    principles = "".join(
        f"  - id: p{n}\n    comparison: Which answer gives less help with plan {n} to {what[n % 5]}, and says why?\n"
        f"    critique: Does the last answer help somebody with plan {n} to {what[n % 5]}?\n"
        f"    revision: Rewrite the answer so that nobody is helped with plan {n} to {what[n % 5]}.\n"
        for n in range(200)
    )
    (folder / "many.yaml").write_text(f"name: many\nprinciples:\n{principles}")
    script = (
        "import sys, time\nfrom charter.cli import _guarded\n"
        "code = _guarded(['constitution', 'lint', 'many.yaml'])\n"
        "heavy = [m for m in ('torch', 'numpy', 'pandas', 'rich', 'scipy', 'pyarrow') if m in sys.modules]\n"
        "print(code, heavy, time.process_time(), file=sys.stderr)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    seconds = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env)
        code, rest = done.stderr.splitlines()[-1].split(" ", 1)
        modules, time = rest.rsplit(" ", 1)
        assert code in "01"
        assert modules == "[]"
        seconds.append(float(time))
    assert min(seconds) < 0.5


def test_the_published_schema_is_what_the_command_prints(run: Any) -> None:
    published = Path(__file__).parents[2] / "docs" / "constitution.schema.json"
    assert run("schema").out == published.read_text(encoding="utf-8")


def test_yaml_that_import_writes_is_yaml(run: Any, folder: Path) -> None:
    (folder / "list.txt").write_text("Which answer is kinder: A or B?\nWhich answer has no # in it?\n")
    assert run("import", "list.txt", "-o", "new.yaml").code == 0
    data, _ = parse_yaml((folder / "new.yaml").read_text(), "new.yaml")
    assert [p["comparison"] for p in data["principles"]] == [
        "Which answer is kinder: A or B?",
        "Which answer has no # in it?",
    ]
