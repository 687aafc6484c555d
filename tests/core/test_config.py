from __future__ import annotations

import re
from pathlib import Path

import pytest

from charter.core.config import dump_recipe, load_recipe
from charter.core.errors import InputError


def refused(project: Path, *overrides: str, old: str = "", new: str = "") -> str:
    """The message for a recipe in which `old` is replaced by `new`."""
    path = project / "recipe.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new) if old else text + new)
    with pytest.raises(InputError) as caught:
        load_recipe(path, overrides)
    assert caught.value.cure
    return str(caught.value)


def test_paths_become_absolute_and_a_dump_loads_again(project: Path) -> None:
    recipe = load_recipe(project / "recipe.yaml")
    assert recipe.constitution == project / "constitution.yaml"
    assert recipe.prompts.red_team.path == project / "red_team.jsonl"
    assert recipe.prompts.evaluation is None
    (project / "dump.yaml").write_text(dump_recipe(recipe))
    assert load_recipe(project / "dump.yaml") == recipe
    assert "min_mass: 0.05" in dump_recipe(recipe)  # defaults are written out
    assert "evaluation: null" in dump_recipe(recipe)


def test_paths_do_not_depend_on_the_working_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.parent)
    recipe = load_recipe(Path("project/recipe.yaml"))
    monkeypatch.chdir(project)
    assert load_recipe(Path("recipe.yaml")) == recipe


def test_overrides(project: Path) -> None:
    overrides = ["revise.rounds=1", "sl.learning_rate=1e-3", "prompts.helpful=null", "label.flip=true", "name=x=y"]
    recipe = load_recipe(project / "recipe.yaml", [*overrides, 'models.critic={"engine": "scripted", "reply": "a: b"}'])
    assert (recipe.revise.rounds, recipe.sl.learning_rate, recipe.prompts.helpful) == (1, 1e-3, None)
    assert recipe.label.flip is True
    assert recipe.name == "x=y"
    assert recipe.models.critic is not None
    assert recipe.models.critic.reply == "a: b"


def test_the_last_override_wins(project: Path) -> None:
    assert load_recipe(project / "recipe.yaml", ["seed=1", "seed=2"]).seed == 2


def test_a_library_constitution_passes(project: Path) -> None:
    assert str(load_recipe(project / "recipe.yaml", ["constitution=library:some"]).constitution) == "library:some"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  rounds: 2", "  ronds: 2", "recipe.yaml:15:3: unknown key 'revise.ronds'|cure: did you mean 'rounds'?"),
        ("revise:", "revize:", "recipe.yaml:14:1: unknown key 'revize'|cure: did you mean 'revise'?"),
        ("    engine:", "    engin:", "recipe.yaml:12:5: unknown key 'models.assistant.engin'"),
        ("rounds: 2", "zzzz: 2", "the keys of 'revise' are: critique, max_new_tokens, rounds, temperature"),
        ("labels: human", "lables: human", "recipe.yaml:9:38: unknown key 'comparisons.helpful.lables'"),
        ("rounds: 2", "rounds: four", "recipe.yaml:15:3: 'revise.rounds': input should be a valid integer"),
        (
            "rounds: 2",
            "rounds: 0",
            "recipe.yaml:15:3: 'revise.rounds': input should be greater than or equal to 1, not 0",
        ),
        ("labels: human", "labels: nobody", "recipe.yaml:9:38: 'comparisons.helpful.labels': input should be 'human'"),
        ("    path: red_team.jsonl", "    limit: 3", "recipe.yaml:5:3: the key 'prompts.red_team.path' is missing"),
        ("path: red_team.jsonl", "path: none.jsonl", "recipe.yaml:6:5: 'prompts.red_team.path': there is no such file"),
        ("path: red_team.jsonl", "path: .", "recipe.yaml:6:5: 'prompts.red_team.path': is a folder"),
        ("constitution: constitution.yaml", "constitution: no.yaml", "recipe.yaml:3:1: 'constitution': there is no"),
        (
            "engine: scripted",
            "model_name_or_path: ./no",
            "'models.assistant.model_name_or_path': there is no such model",
        ),
        ("engine: scripted", "model_name_or_path: /no/such", "recipe.yaml:12:5: 'models.assistant.model_name_or_path'"),
        ("engine: scripted", "model_name_or_path: .", "not a model folder (it has no config.json)"),
        ("engine: scripted", "dtype: float32", "'models.assistant.model_name_or_path' is missing"),
        ("  rounds: 2", "\trounds: 2", "recipe.yaml:15:1: the line is indented with a tab"),
        ("seed: 3", "seed: 3\nseed: 4", "recipe.yaml:3:1: the key 'seed' stands twice: it is on line 2 already"),
        ("seed: 3", "seed: [3", "recipe.yaml:3:13: not YAML|while parsing a flow sequence that starts on line 2"),
    ],
)
def test_what_is_wrong_and_where(project: Path, old: str, new: str, message: str) -> None:
    text = refused(project, old=old, new=new)
    for part in message.split("|"):
        assert part in text


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("revise.ronds=2", "override 'revise.ronds=2': unknown key 'revise.ronds'\n  cure: did you mean 'rounds'?"),
        ("revise.rounds=x", "override 'revise.rounds=x': 'revise.rounds': input should be a valid integer"),
        ("revise", "override 'revise': an override is written key=value"),
        ("revise..rounds=1", "an override is written key=value"),
        ("seed.x=1", "override 'seed.x=1': 'seed' is a single value"),
        ("sl={learning_rte: 1}", "override 'sl={learning_rte: 1}': unknown key 'sl.learning_rte'"),
        ("prompts.red_team.path=no.jsonl", "override 'prompts.red_team.path=no.jsonl': 'prompts.red_team.path': there"),
        ("seed=[1", "override 'seed=[1': not YAML"),
    ],
)
def test_overrides_are_checked_like_the_file(project: Path, override: str, message: str) -> None:
    assert message in refused(project, override)


def test_other_problems_are_counted(project: Path) -> None:
    message = refused(project, old="revise:\n  rounds: 2", new="revise:\n  rounds: 0\n  temperature: -1")
    assert "(and 1 more problem in this file)" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "recipe.yaml: a recipe is a mapping"),
        (b"- a\n", "recipe.yaml:1:1: a recipe is a mapping"),
        (b"name: a\nseed: \xff\n", "recipe.yaml:2:7: the file is not UTF-8"),
        ("name: a".encode("utf-16"), "recipe.yaml:1:1: the file is not UTF-8 but UTF-16"),
    ],
)
def test_files_that_are_no_recipe(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "recipe.yaml").write_bytes(content)
    with pytest.raises(InputError, match=re.escape(message)):
        load_recipe(tmp_path / "recipe.yaml")


def test_a_missing_recipe_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="folder"):
        load_recipe(tmp_path)


def test_hub_ids_are_left_alone(project: Path) -> None:
    chosen = load_recipe(project / "recipe.yaml", ["models.assistant={model_name_or_path: owner/name}"])
    assert chosen.models.assistant.model_name_or_path == "owner/name"
