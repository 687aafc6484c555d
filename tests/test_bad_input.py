"""What the user got wrong, through the command line: the exit code, the message (what, where, cure), and that nothing
was written and no earlier run was touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from charter import cli


def replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        text = (project / name).read_text(encoding="utf-8")
        assert old in text
        (project / name).write_text(text.replace(old, new), encoding="utf-8")

    return change


def write(name: str, content: bytes) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        (project / name).write_bytes(content)

    return change


def not_a_model(project: Path) -> None:
    (project / "weights").mkdir()
    (project / "weights/model.bin").write_bytes(b"x")
    replace("recipe.yaml", "engine: scripted", "model_name_or_path: weights")(project)


def broken_model(project: Path) -> None:
    (project / "weights").mkdir()
    (project / "weights/config.json").write_text("{")
    replace("recipe.yaml", "engine: scripted", "model_name_or_path: weights")(project)
    replace("recipe.yaml", "    reply: I would rather not.\n", "")(project)


CASES: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "unknown key": (
        replace("recipe.yaml", "rounds: 2", "round: 2"),
        ("recipe.yaml:15:3: unknown key 'revise.round'", "did you mean 'rounds'?"),
    ),
    "wrong type": (
        replace("recipe.yaml", "rounds: 2", "rounds: [2]"),
        ("recipe.yaml:15:3: 'revise.rounds': input should be a valid integer",),
    ),
    "out of range": (
        replace("recipe.yaml", "seed: 3", "seed: 3\nlabel: {min_mass: 2}"),
        ("recipe.yaml:3:9: 'label.min_mass': input should be less than or equal to 1, not 2",),
    ),
    "missing prompts": (
        replace("recipe.yaml", "helpful.jsonl", "nowhere.jsonl"),
        ("recipe.yaml:7:13: 'prompts.helpful.path': there is no such file: nowhere.jsonl", "paths are relative to"),
    ),
    "empty prompts": (write("red_team.jsonl", b""), ("red_team.jsonl: no prompts here: the file is empty",)),
    "broken prompts": (write("helpful.jsonl", b'{"prompt": "a"}\n{"promt": "b"}\n'), ("helpful.jsonl:2: ",)),
    "no JSON": (write("red_team.jsonl", b'{"prompt": "a"}\nhow do i\n'), ("red_team.jsonl:2: not JSON",)),
    "broken comparisons": (write("comparisons.jsonl", b'{"prompt": "a", "chosen": "b"}\n'), ("comparisons.jsonl:1: ",)),
    "no principles": (
        write("constitution.yaml", b"name: x\nprinciples: []\n"),
        ("constitution.yaml:2:1: 'principles': the constitution has none",),
    ),
    "principles left out": (write("constitution.yaml", b"name: x\n"), ("constitution.yaml", "'principles' is missing")),
    "unknown key of the constitution": (
        replace("constitution.yaml", "critique:", "critic:"),
        ("constitution.yaml:4:5: unknown key 'principles[0].critic'", "did you mean 'critique'?"),
    ),
    "unknown library": (
        replace("recipe.yaml", "constitution: constitution.yaml", "constitution: library:harmles"),
        ("harmles",),
    ),
    "no model": (
        not_a_model,
        ("recipe.yaml:12:5: ", "not a model folder (it has no config.json): weights", "safetensors"),
    ),
    "broken model": (broken_model, ("weights",)),
    "tabs": (replace("recipe.yaml", "  rounds", "\trounds"), ("the line is indented with a tab", "indent with spaces")),
    "duplicate key": (
        replace("recipe.yaml", "seed: 3", "seed: 3\nseed: 3"),
        ("recipe.yaml:3:1: the key 'seed' stands",),
    ),
    "another encoding": (
        write("recipe.yaml", "name: größe".encode("latin-1")),
        ("recipe.yaml:1:9: the file is not UTF-8",),
    ),
}


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert cli._guarded([str(a) for a in arguments]) == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text
    assert text.count("error: ") == 1
    assert "\n  cure: " in text
    return text


@pytest.mark.parametrize("case", CASES)
def test_one_clear_message_and_nothing_written(case: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, messages = CASES[case]
    change(project)
    out = project.parent / "run"
    before = snapshot(project.parent)
    text = refused(capsys, "run", project / "recipe.yaml", "--out", out)
    for message in messages:
        assert message in text
    if case != "broken model":  # found out when it is opened, within the first stage
        assert snapshot(project.parent) == before
    assert not list(out.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("revise.round=1",), "override 'revise.round=1': unknown key 'revise.round'"),
        (("--until", "revize"), "--until: there is no stage 'revize'\n  cure: one of: respond, "),
        (("--from", "nowhere"), "there is no run here"),
    ],
)
def test_wrong_arguments(
    arguments: tuple[str, ...], message: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, "run", project / "recipe.yaml", "--out", project.parent / "run", *arguments)
    assert not (project.parent / "run").exists()


def test_a_report_of_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "report", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["another recipe", "broken prompts", "unknown key"])
def test_an_earlier_run_is_untouched(change: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = project.parent / "run"
    assert cli._guarded(["run", str(project / "recipe.yaml"), "--out", str(out), "--until", "revise"]) == 0
    before = snapshot(out)
    if change == "another recipe":
        replace("recipe.yaml", "seed: 3", "seed: 4")(project)
    else:
        CASES[change][0](project)
    text = refused(capsys, "run", project / "recipe.yaml", "--out", out)
    assert (str(out) in text and "use another --out" in text) == (change == "another recipe")
    assert snapshot(out) == before


def test_a_folder_with_other_things(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(project)
    assert "not empty and is not a run" in refused(capsys, "run", project / "recipe.yaml", "--out", project)
    assert snapshot(project) == before


def test_a_full_disk(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        with Path("/dev/full").open("w") as file:
            file.write("x")
        return 0

    out = project.parent / "run"
    arguments = ["run", str(project / "recipe.yaml"), "--out", str(out), "--until", "revise"]
    monkeypatch.setattr("charter.revise.stage.write_records", full)
    assert cli._guarded(arguments) == 1
    text = capsys.readouterr().err
    assert "the disk is full" in text
    assert "run the same command again" in text
    assert f"charter {' '.join(arguments)}" in text
    assert not list(out.rglob("*.parquet"))
    monkeypatch.undo()
    assert cli._guarded(arguments) == 0
    assert (out / "revisions.parquet").is_file()
