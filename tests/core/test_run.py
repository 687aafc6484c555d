from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from charter.core.config import load_recipe
from charter.core.describe import described
from charter.core.errors import InputError, WorkError
from charter.core.files import atomic
from charter.core.progress import SECONDS_BETWEEN_LINES, Lines, progress, summary
from charter.core.recipe import ModelConfig, Recipe, ReviseConfig
from charter.core.run import Artifact, Reached, RunFolder, Stage
from charter.core.seeds import derive

VERSION = 1


@pytest.fixture
def recipe(project: Path) -> Recipe:
    return load_recipe(project / "recipe.yaml")


def opened(out: Path, recipe: Recipe, **options: object) -> RunFolder:
    return RunFolder(out, recipe, show="silent", **options)  # type: ignore[arg-type]


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def write_words(stage: Stage, config: ReviseConfig, *words: Artifact, fail: bool = False) -> None:
    """A stage: one line with its config and inputs; counts how often it ran in a file of the test's."""
    stage.count(words=config.rounds, tokens=10)
    stage.metric(step=0, loss=1.5)
    if fail:
        stage.out.write_text("half")
        raise RuntimeError("broken in the middle")
    stage.out.write_text(f"{config.rounds} {stage.seed} " + " ".join(a.path.read_text() for a in words))


def two_stages(run: RunFolder, recipe: Recipe, fail: bool = False) -> Artifact:
    first = run.stage("first", write_words, out="first.txt", config=(recipe.revise,))
    return run.stage(
        "second",
        write_words,
        out="deep/second.txt",
        config=(recipe.revise,),
        inputs=(first,),
        **({"fail": True} if fail else {}),
    )


def test_a_run_leaves_outputs_and_a_record(tmp_path: Path, recipe: Recipe) -> None:
    with opened(tmp_path / "run", recipe) as run:
        second = two_stages(run, recipe)
    assert second.path.read_text() == "2 3 2 3 "
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert manifest["name"] == "small"
    assert manifest["seed"] == 3
    assert manifest["totals"]["tokens"] == 20
    stage = manifest["stages"]["second"]
    assert (stage["state"], stage["output"], stage["counts"]) == ("done", "deep/second.txt", {"words": 2, "tokens": 10})
    assert stage["fingerprint"] == second.fingerprint
    assert stage["versions"]["charter"]
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"stage": s, "step": 0, "loss": 1.5} for s in ("first", "second")]
    assert load_recipe(tmp_path / "run/recipe.yaml") == recipe
    log = (tmp_path / "run/charter.log").read_text()
    assert "Z INFO    second: done in" in log
    assert not (tmp_path / "run/.partial").exists()


def test_what_is_done_is_not_done_again(tmp_path: Path, recipe: Recipe) -> None:
    for _ in range(2):
        with opened(tmp_path / "run", recipe) as run:
            before = snapshot(tmp_path / "run")
            two_stages(run, recipe)
    after = snapshot(tmp_path / "run")
    written = {"charter.log", "status.json"}
    assert {k: v for k, v in before.items() if k not in written} == {k: v for k, v in after.items() if k not in written}
    (tmp_path / "run/first.txt").unlink()  # an output that has gone is made again, and nothing else
    with opened(tmp_path / "run", recipe) as run:
        two_stages(run, recipe)
    assert (tmp_path / "run/first.txt").is_file()
    assert (tmp_path / "run/charter.log").read_text().count("first: begun") == 2
    assert (tmp_path / "run/charter.log").read_text().count("second: begun") == 1


def test_a_failed_stage_is_recorded_and_resumed(tmp_path: Path, recipe: Recipe) -> None:
    with pytest.raises(RuntimeError, match="in the middle") as caught, opened(tmp_path / "run", recipe) as run:
        two_stages(run, recipe, fail=True)
    assert any("charter.log" in note for note in caught.value.__notes__)
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert manifest["stages"]["second"]["state"] == "failed"
    assert manifest["stages"]["second"]["error"] == "broken in the middle"
    assert not (tmp_path / "run/deep").exists()
    assert not (tmp_path / "run/.partial").exists()
    log = (tmp_path / "run/charter.log").read_text()
    assert "Traceback" in log
    with opened(tmp_path / "run", recipe) as run:
        two_stages(run, recipe)
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert [s["state"] for s in manifest["stages"].values()] == ["done", "done"]
    assert "error" not in manifest["stages"]["second"]
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert len(lines) == 2  # the failed attempt's lines are gone


def test_a_torn_line_of_metrics_is_dropped(tmp_path: Path, recipe: Recipe) -> None:
    with opened(tmp_path / "run", recipe) as run:
        run.stage("first", write_words, out="first.txt", config=(recipe.revise,))
    with (tmp_path / "run/metrics.jsonl").open("a") as file:
        file.write('{"stage": "second", "st')
    with opened(tmp_path / "run", recipe) as run:
        two_stages(run, recipe)
    assert len([json.loads(t) for t in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]) == 2


@pytest.mark.parametrize("change", ["config", "input", "version", "option", "model"])
def test_what_changes_a_fingerprint(
    tmp_path: Path, recipe: Recipe, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    config = ModelConfig(model_name_or_path=str(model))

    def function(stage: Stage, *_: object, **__: object) -> None:
        stage.out.write_text("x")

    def key(name: str, n: int, fingerprint: str, **options: int) -> str:
        with opened(tmp_path / name, recipe) as run:
            inputs = (Artifact(tmp_path, fingerprint), None)
            return run.stage("s", function, out="x", config=(n, config), inputs=inputs, **options).fingerprint

    same = key("a", 1, "f")
    assert key("b", 1, "f") == same
    if change == "version":
        monkeypatch.setattr(sys.modules[__name__], "VERSION", 2)
    if change == "model":
        (model / "config.json").write_text('{"edited": true}')
    options = {"option": 1} if change == "option" else {}
    assert key("c", 2 if change == "config" else 1, "g" if change == "input" else "f", **options) != same


def test_a_moved_or_rebatched_model_is_the_same_model(tmp_path: Path, recipe: Recipe) -> None:
    keys = []
    for name, batch in (("one", 1), ("two", 64)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        config = ModelConfig(model_name_or_path=str(tmp_path / name), batch_size=batch)
        keys.append(described((config, {"a": [config]})))
    assert keys[0] == keys[1]


def test_an_output_is_replaced_whole(tmp_path: Path, recipe: Recipe) -> None:
    def folder(stage: Stage, name: str) -> None:
        stage.out.mkdir()
        (stage.out / name).write_text(name)

    for name in ("a", "b"):
        with opened(tmp_path / "run", recipe) as run:
            made = run.stage("s", folder, out="models/s", config=(name,))
    assert [p.name for p in made.path.iterdir()] == ["b"]
    assert not (tmp_path / "run/.partial").exists()


def test_a_stage_that_writes_nothing(tmp_path: Path, recipe: Recipe) -> None:
    with pytest.raises(RuntimeError, match="'s' wrote nothing"), opened(tmp_path / "run", recipe) as run:
        run.stage("s", lambda stage: None, out="x")


def test_until(tmp_path: Path, recipe: Recipe) -> None:
    for _ in range(2):  # also where the stage is done already
        with pytest.raises(Reached), opened(tmp_path / "run", recipe, until="first") as run:
            two_stages(run, recipe)
    assert not (tmp_path / "run/deep").exists()


def test_another_recipes_folder_is_refused_and_untouched(tmp_path: Path, recipe: Recipe) -> None:
    with opened(tmp_path / "run", recipe) as run:
        two_stages(run, recipe)
    before = snapshot(tmp_path / "run")
    other = recipe.model_copy(update={"seed": 4})
    with pytest.raises(InputError, match="another recipe") as caught, opened(tmp_path / "run", other):
        raise AssertionError("it was opened")
    assert "use another --out" in str(caught.value)
    assert snapshot(tmp_path / "run") == before


def test_folders_that_are_no_runs(tmp_path: Path, recipe: Recipe) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.txt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/manifest.json").write_text("[]")
    for name, message in (("full", "not empty and is not a run"), ("file", "is a file"), ("odd", "not the manifest")):
        before = snapshot(tmp_path / name) if name != "file" else None
        with pytest.raises(InputError, match=message), opened(tmp_path / name, recipe):
            raise AssertionError("it was opened")
        assert before is None or snapshot(tmp_path / name) == before
    (tmp_path / "empty").mkdir()
    with opened(tmp_path / "empty", recipe) as run:
        two_stages(run, recipe)


def test_a_start_that_was_killed_early_does_not_block_the_next(tmp_path: Path, recipe: Recipe) -> None:
    (tmp_path / "run/.partial/first").mkdir(parents=True)
    (tmp_path / "run/.lock").touch()
    (tmp_path / "run/.manifest.json.123.tmp").write_text("{")
    with opened(tmp_path / "run", recipe) as run:
        two_stages(run, recipe)
    assert not (tmp_path / "run/.manifest.json.123.tmp").exists()


def test_one_process_at_a_time(tmp_path: Path, recipe: Recipe) -> None:
    with opened(tmp_path / "run", recipe) as run:
        two_stages(run, recipe)
        with pytest.raises(InputError, match="another process"), opened(tmp_path / "run", recipe):
            raise AssertionError("it was opened")
    with opened(tmp_path / "run", recipe):
        pass


def test_reuse_takes_what_has_not_changed(tmp_path: Path, recipe: Recipe) -> None:
    with opened(tmp_path / "parent", recipe) as run:
        two_stages(run, recipe)
    changed = recipe.model_copy(update={"revise": recipe.revise.model_copy(update={"rounds": 7})})
    with opened(tmp_path / "child", changed, reuse=tmp_path / "parent") as run:
        first = run.stage("first", write_words, out="first.txt", config=(recipe.revise,))
        run.stage("second", write_words, out="second.txt", config=(changed.revise,), inputs=(first,))
    manifest = json.loads((tmp_path / "child/manifest.json").read_text())
    assert manifest["parent"] == str(tmp_path / "parent")
    assert manifest["stages"]["first"]["reused_from"] == str(tmp_path / "parent")
    assert manifest["stages"]["first"]["state"] == "done"
    assert "reused_from" not in manifest["stages"]["second"]
    assert manifest["totals"]["tokens"] == 10  # what was reused cost nothing
    assert (tmp_path / "child/second.txt").read_text() == "7 3 2 3 "
    assert len((tmp_path / "child/metrics.jsonl").read_text().splitlines()) == 2
    (tmp_path / "child/first.txt").unlink()
    assert (tmp_path / "parent/first.txt").read_text() == "2 3 "


def test_a_parent_that_is_no_run(tmp_path: Path, recipe: Recipe) -> None:
    for reuse, message in ((tmp_path, "no run here"), (tmp_path / "child", "cannot reuse itself")):
        with pytest.raises(InputError, match=message), opened(tmp_path / "child", recipe, reuse=reuse):
            raise AssertionError("it was opened")
    assert not (tmp_path / "child").exists()


def test_a_full_disk(tmp_path: Path, recipe: Recipe) -> None:
    def fills_the_disk(stage: Stage) -> None:
        stage.out.mkdir()
        (stage.out / "half").write_text("half")
        with Path("/dev/full").open("w") as file:  # the kernel's own ENOSPC
            file.write("x" * 100_000)

    with opened(tmp_path / "run", recipe) as run:
        two_stages(run, recipe)
    before = snapshot(tmp_path / "run")
    with pytest.raises(WorkError, match="disk is full") as caught, opened(tmp_path / "run", recipe) as run:
        run.stage("third", fills_the_disk, out="third")
    assert "run the same command again" in str(caught.value)
    after = snapshot(tmp_path / "run")
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"manifest.json", "charter.log", "status.json"}
    assert json.loads((tmp_path / "run/manifest.json").read_text())["stages"]["third"]["state"] == "failed"


@pytest.mark.parametrize(
    "error", [RuntimeError("I/O error: No space left on device (os error 28)"), OSError(122, "quota")]
)
def test_a_full_disk_in_a_librarys_words(tmp_path: Path, recipe: Recipe, error: Exception) -> None:
    def fails(stage: Stage) -> None:
        raise ValueError("while saving") from error

    with pytest.raises(WorkError, match="disk is full"), opened(tmp_path / "run", recipe) as run:
        run.stage("s", fails, out="x")


def test_a_full_disk_under_the_manifest(tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path / "run", recipe) as run:
        run.stage("first", write_words, out="first.txt", config=(recipe.revise,))
        monkeypatch.setattr(os, "fsync", _no_space)
        with pytest.raises(WorkError, match="disk is full"):
            two_stages(run, recipe)
    monkeypatch.undo()
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())  # whole, and as it was
    assert list(manifest["stages"]) == ["first"]
    with opened(tmp_path / "run", recipe) as run:
        two_stages(run, recipe)


def _no_space(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_an_interruption_is_recorded(tmp_path: Path, recipe: Recipe) -> None:
    def interrupted(stage: Stage) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), opened(tmp_path / "run", recipe) as run:
        run.stage("s", interrupted, out="x")
    stage = json.loads((tmp_path / "run/manifest.json").read_text())["stages"]["s"]
    assert (stage["state"], stage["error"]) == ("failed", "interrupted")


SCRIPT = """
import sys, time
from pathlib import Path
from charter.core.config import load_recipe
from charter.core.run import RunFolder
from charter.core.seeds import derive

def slow(stage, files):
    stage.out.mkdir()
    for n in range(files):
        (stage.out / str(n)).write_text(str(derive(stage.seed, n)))
        stage.metric(step=n)
        if n == 3 and sys.argv[3] == "hang":
            print("half way", flush=True)
            time.sleep(60)

recipe = load_recipe(Path(sys.argv[1]))
with RunFolder(Path(sys.argv[2]), recipe, show="silent") as run:
    run.stage("fast", slow, out="fast", config=(2,))
    run.stage("slow", slow, out="models/slow", config=(9,))
"""


def test_kill_9_in_the_middle_then_resume(tmp_path: Path, project: Path) -> None:
    def start(out: str, mode: str) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", SCRIPT, str(project / "recipe.yaml"), str(tmp_path / out), mode]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)

    killed = start("killed", "hang")
    assert killed.stdout is not None
    assert killed.stdout.readline() == "half way\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert (tmp_path / "killed/.partial/slow/slow").is_dir()
    assert not (tmp_path / "killed/models").exists()
    for out in ("killed", "whole"):
        process = start(out, "through")
        process.communicate()
        assert process.returncode == 0
    outputs = [
        {k: v for k, v in snapshot(tmp_path / out).items() if k.startswith(("models", "fast", "metrics"))}
        for out in ("killed", "whole")
    ]
    assert outputs[0] == outputs[1]
    assert outputs[0]["models/slow/8"] == str(derive(3, 8)).encode()
    assert not (tmp_path / "killed/.partial").exists()
    assert (tmp_path / "killed/charter.log").read_text().count("fast: begun") == 1


def test_atomic_files_are_whole_or_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_detached_stage_keeps_what_it_is_told(tmp_path: Path) -> None:
    stage = Stage.detached(tmp_path / "new" / "out", seed=5)
    stage.count(rows=2)
    stage.count(rows=3, tokens=1)
    stage.metric(step=1)
    with stage.progress(3, "rows") as bar:
        bar.advance(2)
    assert stage.out.parent.is_dir()
    assert (stage.seed, stage.counts, stage.metrics) == (
        5,
        {"rows": 5, "tokens": 1},
        [{"stage": "detached", "step": 1}],
    )


def test_progress_off_a_terminal_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, SECONDS_BETWEEN_LINES + 1, SECONDS_BETWEEN_LINES + 2])
    monkeypatch.setattr("charter.core.progress.time.monotonic", lambda: next(clock))
    with progress(2000, "answers") as bar:
        assert isinstance(bar.shown, Lines)  # type: ignore[attr-defined]
        for _ in range(3):
            bar.advance(500)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "  answers  1,000/2,000  90.9/s  ETA 11 s\n"


def test_the_line_of_a_finished_stage() -> None:
    assert summary("label", {"comparisons": 1204, "tokens": 9}, 12.34).split() == [
        "label",
        "1,204",
        "comparisons",
        "12.3",
        "s",
    ]
    assert summary("x", {}, 0.0, "reused").split() == ["x", "0.0", "s", "reused"]
