"""What a recipe names, as artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from charter.core.config import load_recipe
from charter.core.errors import InputError
from charter.core.recipe import Recipe
from charter.inputs import base


def with_base(project: Path, *overrides: str) -> Recipe:
    return load_recipe(project / "recipe.yaml", overrides)


def test_a_folder_is_named_by_its_contents(project: Path) -> None:
    (project / "model").mkdir()
    (project / "model/config.json").write_text("{}")
    recipe = with_base(project, "models.base.model_name_or_path=model")
    first = base(recipe)
    assert first.path == project / "model"
    (project / "model/config.json").write_text("{ }")
    assert base(recipe).fingerprint != first.fingerprint


def test_a_hub_id_is_the_folder_of_its_local_copy(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []

    def download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        assert "*.safetensors" in allow_patterns
        assert not any("bin" in pattern or "py" in pattern for pattern in allow_patterns)
        asked.append((name, revision))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    made: list[Any] = [
        base(with_base(project, "models.base.model_name_or_path=an-owner/a-model", *more))
        for more in ((), ("models.base.revision=v2",))
    ]
    assert asked == [("an-owner/a-model", None), ("an-owner/a-model", "v2")]
    assert [artifact.path for artifact in made] == [tmp_path, tmp_path]
    assert made[0].fingerprint != made[1].fingerprint


def test_a_hub_id_that_cannot_be_read_is_one_clear_error(project: Path) -> None:
    recipe = with_base(project, "models.base.model_name_or_path=no-such-owner/no-such-model")
    with pytest.raises(InputError, match=r"models\.base: the model 'no-such-owner/no-such-model' cannot be had"):
        base(recipe)


def test_a_scripted_model_cannot_be_trained(project: Path) -> None:
    with pytest.raises(InputError, match="a model of the engine scripted cannot be trained"):
        base(with_base(project))
