"""The world as a project folder: what is in it, who may see what, and that it is made once and whole."""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from charter import pipeline
from charter.constitution import load as load_constitution
from charter.core.config import load_recipe
from charter.core.errors import InputError
from charter.core.tables import read_jsonl
from charter.evaluate.pairs import load_pairs
from charter.prompts import load_comparisons, load_prompts
from charter.world import build
from charter.world.corpus import documents
from charter.world.lexicon import deeds
from charter.world.model import Size, split_words

TINY = build.Plan(
    size=Size(width=16, layers=1, heads=2, feed_forward=16, steps=3, rows=2, row_length=160),
    classes=("take", "kill", "repair", "clean"),
    red_team=20,
    helpful=20,
    comparisons=30,
    evaluation=12,
    pairs=12,
    overrides=("rl.steps=2", "evaluate.bootstrap=20"),
)
FILES = {
    *("recipe.yaml", "constitution.yaml", "world.json", "model"),
    *("red_team.jsonl", "helpful.jsonl", "helpful_comparisons.jsonl"),
    *("evaluation.jsonl", "validation.jsonl", "label_pairs.jsonl"),
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "QUICK", TINY)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(cache: Path) -> Path:
    """One small world, made by the first test that wants it."""
    return build.world(quick=True, show="silent", cache=cache)


def rows(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_jsonl(path)]


def clusters(folder: Path, *names: str) -> set[str]:
    return {row["cluster"] for name in names for row in rows(folder / f"{name}.jsonl")}


@pytest.mark.parametrize("classes", [None, TINY.classes])
def test_no_deed_is_in_two_parts_and_every_kind_is_in_each(classes: tuple[str, ...] | None) -> None:
    for seed in range(3):
        parts = build.split(seed, classes)
        everything = [deed for part in parts.values() for deed in part]
        assert len(set(everything)) == len(everything)
        assert set(everything) == {d for d in deeds() if classes is None or d.verb_class in classes}
        for name, part in parts.items():
            assert {deed.kind for deed in part} == set(build.KINDS), name
            assert len(part) == pytest.approx(build.SPLITS[name] * len(everything), abs=3), name
    assert build.split(0) != build.split(1)


def test_the_parts_of_a_world_are_about_different_deeds(folder: Path) -> None:
    parts = {name: {deed.id for deed in part} for name, part in build.split(0, TINY.classes).items()}
    assert clusters(folder, "red_team", "helpful", "helpful_comparisons") <= parts["method"]
    assert clusters(folder, "evaluation", "label_pairs") <= parts["evaluation"]
    assert clusters(folder, "validation") <= parts["validation"]
    assert parts["pretraining"]
    seen = {row["prompt"] for name in ("red_team", "helpful", "helpful_comparisons") for row in rows_of(folder, name)}
    held_out = {row["prompt"] for name in ("evaluation", "validation", "label_pairs") for row in rows_of(folder, name)}
    assert seen
    assert held_out
    assert not seen & held_out


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    return rows(folder / f"{name}.jsonl")


def test_the_documents_of_pretraining_know_only_their_own_deeds(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the builder hands to the pretraining is the part that is set aside for it."""
    handed = []
    monkeypatch.setattr(build, "_model", lambda some, *_: handed.append(some) or folder / "model")
    build._write(tmp_path, TINY, 0, True, tmp_path, "silent")
    assert handed == [build.split(0, TINY.classes)["pretraining"]]


def test_the_corpus_is_about_the_deeds_it_is_given_alone() -> None:
    parts = {name: {deed.id for deed in part} for name, part in build.split(0).items()}
    principles = load_constitution(build.HERE / "constitution.yaml").principles
    given = build.split(0)["pretraining"]
    found: set[str] = set()
    for document in islice(documents(given, principles, Random(0)), 3000):
        words = split_words(" ".join(message.content for message in document.messages))
        found |= {
            f"{verb} {thing}" for verb, the, thing in zip(words, words[1:], words[2:], strict=False) if the == "the"
        }
    assert len(found & parts["pretraining"]) > 500
    assert not found & (parts["method"] | parts["validation"] | parts["evaluation"])


def test_what_is_in_the_folder(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == FILES
    kinds: dict[str, dict[str, int]] = {}
    for name in ("red_team", "helpful", "evaluation", "validation", "label_pairs"):
        kinds[name] = defaultdict(int)
        for row in rows_of(folder, name):
            kinds[name][row["kind"]] += 1
    assert kinds["red_team"] == {"harmful": 20}
    assert kinds["helpful"] == {"benign": 12, "look_alike": 6, "mistaken": 2}
    assert kinds["evaluation"] == kinds["validation"] == {**dict.fromkeys(build.KINDS, 12), "mistaken": 3}
    assert kinds["label_pairs"]["harmful"] == 12
    for name in ("red_team", "evaluation"):
        texts = [row["prompt"] for row in rows_of(folder, name)]
        assert len(set(texts)) == len(texts)


def test_the_folder_is_an_ordinary_project(folder: Path) -> None:
    recipe = load_recipe(folder / "recipe.yaml")
    assert (recipe.rl.steps, recipe.evaluate.bootstrap) == (2, 20)
    assert recipe.models.assistant.model_name_or_path == str(folder / "model")
    assert len(load_constitution(recipe.constitution).principles) == 10
    assert len(load_prompts(recipe.prompts.red_team.path)) == 20
    assert recipe.comparisons.helpful is not None
    assert len(load_comparisons(recipe.comparisons.helpful.path)) > 20
    assert recipe.evaluate.pairs is not None
    assert len(load_pairs(recipe.evaluate.pairs)) == 18
    about = json.loads((folder / "world.json").read_text())
    assert (about["seed"], about["quick"]) == (0, True)
    assert about["parameters"] > 0


def test_the_model_loads_as_any_other(folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "how do i mend the ring?"}], add_generation_prompt=True, return_tensors="pt"
    )["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert torch.isfinite(model(input_ids=ids).logits).all()


def test_a_second_call_makes_nothing(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("it is made already")

    monkeypatch.setattr(build, "_write", fail)
    assert build.world(quick=True, show="silent", cache=cache) == folder


def test_another_plan_is_another_world_with_the_same_model(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "QUICK", replace(TINY, red_team=10))
    monkeypatch.setattr(build, "pretrain", None)  # the model is in the cache
    other = build.world(quick=True, show="silent", cache=cache)
    assert other != folder
    assert len(rows_of(other, "red_team")) == 10
    weights = "model/model.safetensors"
    assert (other / weights).read_bytes() == (folder / weights).read_bytes()


def test_the_same_seed_makes_the_same_files(folder: Path, tmp_path: Path) -> None:
    again = build.world(quick=True, show="silent", cache=tmp_path)
    for name in [*sorted(FILES - {"model", "world.json"}), "model/model.safetensors"]:
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name


@pytest.mark.parametrize("name", ["save", "comparisons", "_pairs"])
def test_an_interrupted_build_leaves_nothing_half_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(build, name, interrupt)
        with pytest.raises(KeyboardInterrupt):
            build.world(quick=True, show="silent", cache=tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert {path.name for path in build.world(quick=True, show="silent", cache=tmp_path).iterdir()} == FILES


def test_where_worlds_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CHARTER_CACHE", raising=False)
    assert build.cache_folder() == tmp_path / "charter"
    monkeypatch.setenv("CHARTER_CACHE", str(tmp_path / "own"))
    assert build.cache_folder() == tmp_path / "own"


def test_only_evaluation_reads_the_evaluation_prompts() -> None:
    """In the pipeline, `prompts.evaluation` and `evaluate.pairs` are named in `evaluation` and nowhere else, and no
    stage before it takes what comes from there."""
    tree = ast.parse(Path(pipeline.__file__).read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}

    def attributes(node: ast.AST) -> set[str]:
        return {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}

    def read(name: str) -> bool:
        return bool({"evaluation", "evaluate"} & attributes(functions[name]))

    assert read("evaluation"), "the test looks for the right thing"
    assert not any(read(name) for name in ("supervised", "feedback", "reinforcement"))


def test_no_stage_of_training_notices_other_evaluation_prompts(folder: Path, tmp_path: Path) -> None:
    """Exchange the held-out prompts and pairs for others: all fingerprints of training stay as they were."""
    recipe = load_recipe(folder / "recipe.yaml")
    first = pipeline_keys(recipe, tmp_path / "first")
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join((folder / "label_pairs.jsonl").read_text().splitlines(keepends=True)[1:]))
    changed = load_recipe(
        folder / "recipe.yaml",
        [f"prompts.evaluation.path={folder / 'validation.jsonl'}", f"evaluate.pairs={pairs}"],
    )
    second = pipeline_keys(changed, tmp_path / "second")
    same = {name for name in first if first[name] == second[name]}
    assert {"respond", "respond_helpful", "revise", "sl", "pair", "label", "pm", "rl"} <= same
    assert not same & {"evaluate_chains", "evaluate_sl", "evaluate_rl", "evaluate_labels", "evaluate"}


def pipeline_keys(recipe: Any, out: Path) -> dict[str, str]:
    """The fingerprint of every stage, with stages that write an empty file."""
    from charter.core.run import RunFolder

    class Dry(RunFolder):
        def stage(self, name: str, function: Any, **options: Any) -> Any:
            return super().stage(name, touch, **options)

    def touch(stage: Any, *_: Any, **__: Any) -> None:
        stage.out.write_text("")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "RunFolder", Dry)
        patch.setattr(pipeline, "report", lambda _: None)
        pipeline.run(recipe, out, show="silent")
    stages = json.loads((out / "manifest.json").read_text())["stages"]
    return {name: entry["fingerprint"] for name, entry in stages.items()}


def test_a_world_without_its_critic_is_refused(folder: Path, tmp_path: Path) -> None:
    from charter import controls

    (tmp_path / "world.json").write_text("{}")
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(InputError, match="empty_critique"):
        controls.check(tmp_path, tmp_path, show="silent")
