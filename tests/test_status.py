"""How a run stands, told by another process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import scripted_service
from charter import cli, status
from charter.core.errors import InputError
from charter.core.heartbeat import NAME, Heartbeat, alive, last_beat
from charter.core.progress import SECONDS_BETWEEN_SAMPLES, Work, duration


def guarded(*arguments: object) -> int:
    return cli._guarded([str(a) for a in arguments])


def eventually(folder: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """How the run stands as soon as its revisions are under way."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None
        if (folder / NAME).is_file():
            found = status.read(folder)
            if found["process"].get("stage") == "revise" and found["process"].get("calls", 0) > 20:
                return found
        time.sleep(0.1)
    raise AssertionError("no revisions within a minute")


def test_from_another_process(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = project / "run"
    arguments = ["run", str(project / "recipe.yaml"), "revise.rounds=20", "--out", str(out), "--until", "revise"]
    script = [sys.executable, scripted_service.__file__, "0.05", *arguments, "models.assistant.price_completion=1000"]
    process = subprocess.Popen(script, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": "src:tests"})
    try:
        found = eventually(out, process)
        assert (found["state"], found["stages"]["respond"]["state"]) == ("running", "done")
        beat = found["process"]
        assert (beat["what"], beat["total"], beat["pid"]) == ("chains", 3, process.pid)
        assert beat["done"] == 0, "all chains are at work at once"
        assert beat["in_flight"] == 3
        assert beat["seconds"] > 0
        assert beat["cost"] == pytest.approx(beat["completion_tokens"] / 1000)
        assert beat["spent"]["calls"] > beat["calls"] > 20
        assert guarded("status", out) == 0
        said = capsys.readouterr().out
        assert f"running (process {process.pid} on {socket.gethostname()})" in said
        assert "    0 of 3 chains, " in said
        assert "; 3 in flight\n" in said
    finally:
        process.kill()
        process.wait()
    assert guarded("status", out) == 0
    said = capsys.readouterr().out
    assert "is gone without a word" in said
    assert "revise            interrupted" in said
    assert "goes on where it stopped" in said


def test_of_a_finished_run(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded("run", project / "recipe.yaml", "--out", project / "run", "--until", "revise") == 0
    capsys.readouterr()
    assert guarded("status", project / "run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{project / 'run'}: not running"
    assert lines[1].startswith("  respond           done, 3 chains, 3 calls, 29 tokens, ")
    assert lines[-1] == "spent: 19 calls, 309 tokens"
    assert guarded("status", project) == 2
    assert "there is no run here" in capsys.readouterr().err


def test_of_a_failed_stage(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error of several lines is told by its first."""
    recipe = project / "recipe.yaml"
    assert guarded("run", recipe, "--out", project / "run", "--until", "revise", "budget.calls=4") == 3
    capsys.readouterr()
    assert guarded("status", project / "run") == 0
    said = capsys.readouterr().out
    assert "respond_helpful   failed: the budget is used up: 4 calls" in said
    assert "cure:" not in said


def test_a_beat_is_whole_or_not_there(tmp_path: Path) -> None:
    assert last_beat(tmp_path) == {}
    (tmp_path / NAME).write_text('{"half')
    assert last_beat(tmp_path) == {}
    (tmp_path / NAME).write_text("[]")
    assert last_beat(tmp_path) == {}
    with pytest.raises(ValueError, match="broken"), Heartbeat(tmp_path, lambda: {"calls": 3}):
        assert last_beat(tmp_path)["calls"] == 3
        assert alive(last_beat(tmp_path))
        raise ValueError("broken")
    assert last_beat(tmp_path)["state"] == "stopped"
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_alive() -> None:
    here = {"state": "running", "host": socket.gethostname(), "updated": 0.0}
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert alive({**here, "pid": os.getpid()})
    assert not alive({**here, "pid": gone.pid})
    assert not alive({**here, "pid": os.getpid(), "state": "ended"})
    assert alive({**here, "host": "elsewhere", "updated": time.time()})
    assert not alive({**here, "host": "elsewhere", "updated": time.time() - 3600})


def test_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        status.read(tmp_path)


def test_the_rate_is_that_of_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("charter.core.progress.time.monotonic", lambda: clock[0])
    work = Work(1000, "chains")
    for _ in range(100):  # ten a second, then one a second
        clock[0] += SECONDS_BETWEEN_SAMPLES
        work.advance(10 if clock[0] <= 20 else 1)
    assert work.done == 280
    assert work.rate(clock[0]) == pytest.approx(1.0)
    assert work.remaining(clock[0]) == pytest.approx(720)
    assert work.words(clock[0]) == "1.0/s  ETA 12:00"
    assert Work(None, "rows").words(5.0 + clock[0]).endswith("5 s")


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (59.4, "59 s"), (61, "1:01"), (3723, "1:02:03")])
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
