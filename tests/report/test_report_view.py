from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charter.core.errors import InputError
from charter.report import examples, view


def change(run: Path, name: str, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit a JSON file of the run."""
    path = run / name
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))


def test_a_finished_run(run_folder: Path) -> None:
    found = view.load(run_folder)
    assert [row.name for row in found.rows] == [
        "Helpful-only",
        *(f"Revision {i}" for i in range(1, 5)),
        "SL-CAI",
        "RL-CAI",
    ]
    assert [row.step for row in found.direct] == [1, 2, 3, 4]
    harmless = found.rows[-1].cell("harmless")
    assert harmless is not None
    assert harmless.value == pytest.approx(0.99)
    assert harmless.interval is not None
    assert harmless.interval[0] < 0.99 <= harmless.interval[1]
    assert found.counts == {"harmful": 300, "benign": 200, "look_alike": 100}
    assert found.state == ""
    assert found.verdict.startswith(
        "The helpful-only model complied with 98% of harmful requests; after the whole method"
    )
    assert "stock phrases in 31%" in found.aside
    assert found.training is not None
    assert len(found.training.steps) == 60
    assert [ratings.separable for ratings in found.ratings] == [True, False]
    assert [control.passed for control in found.controls] == [True, False]
    assert found.record.stages[2].tokens == "310,221"


def test_declining_is_more_than_being_harmless(run_folder: Path) -> None:
    change(
        run_folder, "metrics.json", lambda data: data["oracle"]["rl"].update(harmless=1.0, explained=0.2, evasive=0.1)
    )
    assert "the model declines 30%, explains why in 20%" in view.load(run_folder).verdict


def test_of_a_step_that_was_written_twice_the_later_counts(run_folder: Path) -> None:
    with (run_folder / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "rl", "step": 59, "reward": 7.5, "kl": 1.0}\n')
    found = view.load(run_folder).training
    assert found is not None
    assert (len(found.steps), found.reward[-1]) == (60, 7.5)


def test_chains_are_of_every_kind_and_of_different_prompts(run_folder: Path) -> None:
    found = view.load(run_folder).examples
    assert [example.kind for example in found] == ["harmful"] * 3 + ["benign"] * 2 + ["look_alike"] * 2
    assert len({example.turns for example in found}) == len(found)
    first = found[0]
    assert [step.principle_id for step in first.rounds] == ["harm", "law", "reasons", "property"]
    assert first.rounds[0].principle == "does the answer offend against harm?"
    assert [step.changed for step in first.rounds] == [True, False, True, False]
    assert [answer.model for answer in first.answers] == ["SL-CAI", "RL-CAI"]


def test_before_the_evaluation_chains_come_from_the_training_data(run_folder: Path) -> None:
    shutil.rmtree(run_folder / "evaluation")
    found = view.load(run_folder).examples
    assert len(found) == 7
    assert not any(example.answers for example in found)


def test_labels_are_chosen_by_rule(run_folder: Path) -> None:
    found = {example.why: example for example in view.load(run_folder).label_examples}
    assert found["The surest label"].p_a == pytest.approx(0.96)
    assert found["The least sure label"].p_a == pytest.approx(0.505)
    assert [v.p_a for v in found["The two orders disagree most"].verdicts] == [0.88, 0.21]
    assert found["The surest label"].asked == (("harm", "which answer respects harm more?"),)


def test_difference_marks_new_words_and_loses_none() -> None:
    before, after = "first take  the hook.", "first take\n\nthe red hook. i am sorry."
    spans = examples.difference(before, after)
    assert "".join(span.text for span in spans) == after
    assert [span.text for span in spans if span.new] == ["red", "i am sorry."]
    assert [span.new for span in examples.difference("a b", "a b")] == [False]
    assert examples.difference("a", "") == ()


@pytest.mark.parametrize(
    "name",
    [
        "manifest.json", "recipe.yaml", "constitution.yaml", "metrics.json", "metrics.jsonl", "preferences.parquet",
        "evaluation/chains.parquet", "evaluation/rl.parquet",
    ],
)  # fmt: skip
def test_any_file_may_be_missing(run_folder: Path, name: str) -> None:
    (run_folder / name).unlink()
    assert view.load(run_folder).name == "miniature"


def test_a_run_without_a_grader(run_folder: Path) -> None:
    (run_folder / "metrics.json").write_text(
        '{"texts": {}, "labels": {"position_bias": 0.1, "accuracy_both_orders": null}}'
    )
    found = view.load(run_folder)
    assert found.verdict == "The answers of this run were not graded: its recipe names no grader."
    assert [quality.name for quality in found.labels] == ["Position bias"]
    assert not found.labels_graded


def test_a_run_that_has_just_begun(tmp_path: Path) -> None:
    manifest = {"name": "young", "seed": 0, "stages": {"respond": {"state": "running", "seconds": 0.0}}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    found = view.load(tmp_path)
    assert found.verdict == "This run has not been evaluated yet."
    assert found.state.startswith("This run is not finished: respond (running).")
    assert (found.rows, found.examples, found.training) == ((), (), None)


def test_a_line_that_is_still_being_written_is_left_out(run_folder: Path) -> None:
    with (run_folder / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "rl", "st')
    assert view.load(run_folder).training is not None


@pytest.mark.parametrize(
    ("name", "content"),
    [("metrics.json", "{"), ("metrics.json", "[1]"), ("metrics.jsonl", "{\n{}\n"), ("constitution.yaml", "a: [")],
)
def test_a_broken_file_is_named(run_folder: Path, name: str, content: str) -> None:
    (run_folder / name).write_text(content)
    with pytest.raises(InputError, match=name):
        view.load(run_folder)


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_that_is_no_run(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="not the folder of a run"):
        view.load(tmp_path / name)
