"""From answers to labels with a tiny local model: what is written does not depend on the batches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from charter.constitution import Constitution, Principle, dump
from charter.core.recipe import LabelConfig, ModelConfig, PairConfig, RespondConfig, ReviseConfig
from charter.core.records import Chain, Comparison, Preference
from charter.core.stage import Artifact, Stage
from charter.core.tables import read_records, write_jsonl
from charter.prefer import label, pairs
from charter.revise import respond, revise
from models.tiny import save

CONSTITUTION = Constitution(
    name="test",
    principles=tuple(
        Principle(id=f"p{n}", critique="is the cake bad", revision=f"bake {w} cake", comparison=f"the {w} answer")
        for n, w in enumerate(("good", "bad", "no"))
    ),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    path = save(tmp_path_factory.mktemp("project") / "model").parent
    words = ["how", "do", "i", "open", "the", "lock", "key", "bake"]
    write_jsonl(path / "prompts.jsonl", [{"id": f"r{n}", "prompt": " ".join(words[: n + 1])} for n in range(8)])
    dump(CONSTITUTION, path / "constitution.yaml")
    return path


def run(project: Path, out: Path, batch_size: int) -> tuple[list[Chain], list[Comparison], list[Preference]]:
    model = ModelConfig(model_name_or_path=str(project / "model"), batch_size=batch_size, device="cpu")
    folder, prompts, constitution = (
        Artifact(project / name, "f") for name in ("model", "prompts.jsonl", "constitution.yaml")
    )
    stages = [Stage.detached(out / f"{name}.parquet", seed=4) for name in ("responses", "revisions", "pairs", "labels")]
    responses, revisions, comparisons, _ = (Artifact(stage.out, "f") for stage in stages)
    respond(stages[0], RespondConfig(max_new_tokens=6), model, 1, prompts, 2)
    revise(stages[1], ReviseConfig(rounds=2, max_new_tokens=6), model, None, 1, constitution, responses)
    pairs(stages[2], PairConfig(max_new_tokens=6), model, 1, folder, prompts)
    label(stages[3], LabelConfig(principles=2, min_mass=0), model, 1, constitution, comparisons)
    assert stages[1].counts["calls"] == 16 * 2 * 2
    return (
        read_records(revisions.path, Chain),
        read_records(comparisons.path, Comparison),
        read_records(stages[3].out, Preference),
    )


def test_what_is_written_does_not_depend_on_the_batches(project: Path, tmp_path: Path) -> None:
    chains, comparisons, preferences = run(project, tmp_path / "wide", 256)
    others = run(project, tmp_path / "narrow", 4)
    assert (chains, comparisons) == others[:2]
    assert [p.p_a for p in preferences] == pytest.approx([p.p_a for p in others[2]], abs=1e-5)
    assert len({c.answers for c in chains}) == 16
    assert len({p.p_a for p in preferences}) == len(preferences) > 5
    assert all(p.p_a is not None and len(p.verdicts) == 4 for p in preferences)
