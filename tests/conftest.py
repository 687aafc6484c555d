"""What all tests share: nobody is contacted, and a small project that runs without a model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rows import write_rows

os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")

RECIPE = """\
name: small
seed: 3
constitution: constitution.yaml
prompts:
  red_team:
    path: red_team.jsonl
  helpful: {path: helpful.jsonl}
comparisons:
  helpful: {path: comparisons.jsonl, labels: human}
models:
  assistant:
    engine: scripted
    reply: I would rather not.
revise:
  rounds: 2
"""
CONSTITUTION = """\
name: tiny
principles:
  - id: one
    critique: what is wrong
    revision: make it right
    comparison: which is safer
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder: recipe.yaml, constitution.yaml and three files of rows; its model is scripted."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    (folder / "constitution.yaml").write_text(CONSTITUTION, encoding="utf-8")
    write_rows(folder / "red_team.jsonl", [{"prompt": f"how do i steal {what}"} for what in ("a car", "a bike", "tea")])
    write_rows(folder / "helpful.jsonl", [{"prompt": "how do i bake bread"}, {"prompt": "how do i boil an egg"}])
    write_rows(folder / "comparisons.jsonl", [{"prompt": "how do i wash", "chosen": "with soap", "rejected": "no"}])
    return folder
