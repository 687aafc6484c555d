"""The example on the real thing: transcripts of people and an assistant, under the paper's own principles."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from charter import pipeline
from charter.core.config import load_recipe
from charter.core.records import Chain, Message
from charter.core.tables import read_records, write_records

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "real_transcripts"
DATA = ROOT.parent / "shared" / "data"
TRANSCRIPTS = DATA / "hh-rlhf" / "harmless-base.test.first1000.jsonl.gz"
PRINCIPLES = DATA / "cai-paper" / "prompts"
HARD = {15, 20, 30, 77, 147, 155, 173}
"""Lines with several paragraphs, or with a speaker's name, inside a turn of the prompt."""
LIMIT = 12

pytestmark = pytest.mark.skipif(not TRANSCRIPTS.is_file(), reason="needs the real files in ../shared/data")


@pytest.fixture(scope="module")
def example() -> Iterator[Any]:
    """The example's scripts, imported from their folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLE))
        import check_chains
        import make_model
        import preference_model

        yield {"check": check_chains, "make_model": make_model, "preference_model": preference_model}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first rows, and some that are hard to read whole."""
    path = tmp_path_factory.mktemp("real") / "transcripts.jsonl.gz"
    with gzip.open(TRANSCRIPTS, "rb") as file, gzip.open(path, "wb") as chosen:
        chosen.writelines(line for number, line in enumerate(file, 1) if number <= 5 or number in HARD)
    return path


@pytest.fixture(scope="module")
def run(example: Any, rows: Path) -> Path:
    """A finished `revise` of a tiny model made of these very rows."""
    folder = rows.parent
    conversations = [example["make_model"].whole(pair) for pair in example["make_model"].load_comparisons(rows)]
    example["make_model"].make_model(conversations, folder / "model", steps=2, width=32)
    values = {
        "prompts.red_team.path": rows,
        "prompts.red_team.limit": LIMIT,
        "constitution": PRINCIPLES,
        "models.assistant.model_name_or_path": folder / "model",
        "respond.max_new_tokens": 12,
        "revise.max_new_tokens": 12,
    }
    recipe = load_recipe(EXAMPLE / "recipe.yaml", [f"{key}={value}" for key, value in values.items()])
    return pipeline.run(recipe, folder / "run", until="revise", show="silent")


def test_all_chains_are_complete_and_every_prompt_and_principle_is_the_files(
    example: Any, run: Path, rows: Path
) -> None:
    found = example["check"].check(run, rows, PRINCIPLES)
    assert found["chains"] == found["complete"] == found["prompts_whole"] == LIMIT
    assert found["prompts_with_blank_lines_inside_a_turn"] == 6
    assert found["prompts_with_a_colon_inside_a_turn"] >= 3
    assert found["prompts_of_several_turns"] >= 6
    assert found["principles_in_the_file"] == found["principles_as_in_the_file"] == 16
    assert found["rounds"] == found["rounds_under_a_principle_of_the_file"] == 2 * LIMIT
    assert found["inputs"]["prompts.red_team"] == {"rows": 12, "taken": 12, "duplicates": 0, "odd": 2, "set_aside": 0}
    assert found["stages"]["revise"]["too_long"] == found["stages"]["respond"]["too_long"] == 0


def test_the_model_reads_the_transcript_itself(example: Any, run: Path, rows: Path) -> None:
    from charter.models.chat import encode_chat, render_chat
    from charter.models.loading import load_tokenizer

    tokenizer = load_tokenizer(run.parent / "model")
    chains = read_records(run / "revisions.parquet", Chain)
    for chain, text in zip(chains, example["check"].prefixes(rows, LIMIT), strict=True):
        rendered = render_chat(tokenizer, chain.prompt.messages, add_generation_prompt=True)
        assert rendered == f"{text}\n\nAssistant: "
        ids = encode_chat(tokenizer, chain.prompt.messages, add_generation_prompt=True)
        assert tokenizer.decode(ids) == rendered
        assert ids[0] == tokenizer.convert_tokens_to_ids("\n\nHuman: ")


def test_the_check_finds_what_is_not_whole(example: Any, run: Path, rows: Path, tmp_path: Path) -> None:
    first, second, third, *others = read_records(run / "revisions.parquet", Chain)
    *before, last = first.prompt.messages
    cut = replace(first, prompt=replace(first.prompt, messages=(*before, Message("user", last.content[:-1]))))
    other_wording = replace(second.rounds[0], principle_hash="0")
    write_records(
        tmp_path / "revisions.parquet",
        [
            cut,
            replace(second, rounds=(other_wording, *second.rounds[1:])),
            replace(third, rounds=third.rounds[:1]),
            *others,
        ],
    )
    for name in ("manifest.json", "constitution.yaml"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    found = example["check"].check(tmp_path, rows, PRINCIPLES)
    assert (found["prompts_whole"], found["prompts_not_whole"]) == (LIMIT - 1, [1])
    assert (found["complete"], found["rounds"]) == (LIMIT - 1, 2 * LIMIT - 1)
    assert found["rounds_under_a_principle_of_the_file"] == 2 * LIMIT - 2


def test_the_preference_model_is_measured_on_conversations_of_its_own(example: Any, tmp_path: Path) -> None:
    script = example["preference_model"]
    script.main([str(TRANSCRIPTS), str(tmp_path), "--train", "24", "--test", "8", "--steps", "2"])
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["pairs"] == {"train": 24, "test": 8}
    assert result["counts"]["train"] == result["counts"]["labels_human"] == 24
    for figure in result["test"].values():
        low, high = figure["interval"]
        assert low <= figure["share"] <= high


def test_one_opening_is_on_one_side(example: Any) -> None:
    script = example["preference_model"]
    pairs = script.load_comparisons(TRANSCRIPTS)
    training, held_out = script.split(pairs, 800, 200, 0)
    assert (len(training), len(held_out)) == (800, 200)
    assert not set(map(script.opening, training)) & set(map(script.opening, held_out))
    assert len({pair.comparison.id for pair in (*training, *held_out)}) == 1000
