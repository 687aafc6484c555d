"""`charter critique`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from charter import cli, models
from charter.models.engine import GenerateRequest
from charter.models.scripted import ScriptedEngine

CONSTITUTION = """\
name: two
principles:
  - {id: kind, critique: Is it unkind?, revision: Make it kind.}
  - {id: brief, revision: Make it brief., status: retired}
  - {id: which, comparison: Which is kinder?}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "c.yaml").write_text(CONSTITUTION)
    (tmp_path / "answer.txt").write_text("Go away.\n")
    (tmp_path / "prompt.txt").write_text("How are you?\n")
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[GenerateRequest]:
    """What the model was asked; it answers with the number of the question."""
    requests: list[GenerateRequest] = []

    def reply(request: GenerateRequest) -> str:
        requests.append(request)
        return f"reply {len(requests)}\x1b[2J"

    monkeypatch.setattr(models, "open_engine", lambda config: ScriptedEngine(reply))
    return requests


def critique(folder: Path, *more: str, prompt: str = "How are you?", response: str = "answer.txt") -> int:
    arguments = ["--constitution", str(folder / "c.yaml"), "--prompt", prompt]
    answer = response if response == "-" else str(folder / response)
    return cli._guarded(["critique", *arguments, "--response", answer, "--model", "m", *more])


def test_each_named_principle_is_tried_on_the_answer_itself(
    folder: Path, asked: list[GenerateRequest], capsys: pytest.CaptureFixture[str]
) -> None:
    assert critique(folder, "--principle", "kind", "--principle", "brief") == 0
    assert [len(request.messages) for request in asked] in ([3, 5, 3], [3, 3, 5])
    assert {request.messages[1].content for request in asked} == {"Go away."}
    text = capsys.readouterr().out
    assert "kind\n\ncritique asked for\n  Is it unkind?" in text
    assert "brief\n\nrevision asked for\n  Make it brief.\n\nrevision\n  reply" in text
    assert "\x1b" not in text  # neither colours in a pipe nor what the model would do to the terminal
    assert sorted(p.name for p in folder.iterdir()) == ["answer.txt", "c.yaml", "prompt.txt"]


def test_drawn_principles_follow_on_each_other(
    folder: Path, asked: list[GenerateRequest], capsys: pytest.CaptureFixture[str]
) -> None:
    assert critique(folder, "--rounds", "2", "--json", prompt=f"@{folder / 'prompt.txt'}") == 0
    (chain,) = json.loads(capsys.readouterr().out)
    assert [row["principle"] for row in chain["rounds"]] == ["kind", "kind"]  # the only one to draw
    assert chain["rounds"][0]["critique_request"] == "Is it unkind?"
    assert asked[2].messages[1].content == chain["rounds"][0]["revision"]
    assert asked[0].messages[0].content == "How are you?"


def test_the_answer_from_standard_input_and_the_seed(
    folder: Path, asked: list[GenerateRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in ("0", "0", "1"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Leave me.")))
        assert critique(folder, "--seed", seed, response="-") == 0
    assert asked[0].messages[1].content == "Leave me."
    seeds = [request.seed for request in asked[::2]]
    assert seeds[0] == seeds[1] != seeds[2]


def test_standard_input_that_is_no_text(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for given, words in ((b"\xff\xfe", "standard input: this is not UTF-8 text"), (b" ", "-: there is no text")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        assert critique(folder, response="-") == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"more": ["--principle", "knd"]}, "has no principle 'knd'\n  cure: did you mean 'kind'?"),
        ({"more": ["--principle", "which"]}, "the principle 'which' has no revision"),
        ({"more": ["--rounds", "0"]}, "--rounds"),
        ({"response": "none.txt"}, "none.txt: there is no such file"),
        ({"response": "empty.txt"}, "empty.txt: there is no text"),
        ({"prompt": " "}, "--prompt: there is no text"),
        ({"prompt": "@none.txt"}, "none.txt: there is no such file"),
        ({}, "m: a tokenizer cannot be loaded"),
    ],
)
def test_bad_input(
    folder: Path, capsys: pytest.CaptureFixture[str], more: dict[str, Any], words: str, tmp_path: Path
) -> None:
    (folder / "empty.txt").write_text(" \n")
    assert critique(folder, *more.pop("more", ()), **more) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err


def test_with_a_local_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from models import tiny

    model = tiny.save(folder / "model")
    answers = []
    for _ in range(2):
        arguments = ["--model", str(model), "--principle", "kind", "--max-new-tokens", "8", "--json"]
        assert critique(folder, *arguments, prompt="how do i open the lock") == 0
        (chain,) = json.loads(capsys.readouterr().out)
        answers.append(chain["rounds"][0])
    assert answers[0] == answers[1]
    assert answers[0]["revision"]
