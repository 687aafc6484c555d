from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.tiny import save


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model."""
    return save(tmp_path_factory.mktemp("language-model"))


@pytest.fixture(scope="session")
def reward_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preference model."""
    return save(tmp_path_factory.mktemp("preference-model"), "reward")
