"""Compare the chains of a run with the files they came from, read here without Charter's own readers.

    python check_chains.py RUN TRANSCRIPTS PRINCIPLES

A prompt is whole when the transcript's turns, written out again, are the text that both transcripts of its row begin
with, up to the last answer. A principle is right when the run's constitution has the file's wording, and every round
its hash.
"""

from __future__ import annotations

import gzip
import json
import sys
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from charter import constitution as constitutions
from charter.core.records import Chain
from charter.core.tables import read_records

SPEAKERS = {"user": "Human", "assistant": "Assistant"}


def check(run: Path, transcripts: Path, principles: Path, rounds: int = 2) -> dict[str, Any]:
    """What was found, as counts of chains, prompts and rounds."""
    chains = read_records(run / "revisions.parquet", Chain)
    texts = prefixes(transcripts, len(chains))
    rendered = ["".join(f"\n\n{SPEAKERS[m.role]}: {m.content}" for m in chain.prompt.messages) for chain in chains]
    files = json.loads((principles / "CritiqueRevisionInstructions.json").read_text(encoding="utf-8"))
    wording = {name: (entry["prompt"][0], entry["edit_request"]) for name, entry in files.items()}
    hashes = {
        p.id: p.hash
        for p in constitutions.load(run / "constitution.yaml").principles
        if (f"\n\nCritiqueRequest: {p.critique}\n\nCritique:", f"\n\nRevisionRequest: {p.revision}\n\nRevision:")
        == wording.get(p.id)
    }
    done = [r for chain in chains for r in chain.rounds]
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    return {
        "chains": len(chains),
        "complete": sum(len(c.rounds) == rounds and all(r.critique is not None for r in c.rounds) for c in chains),
        "empty_texts": sum(not text for c in chains for text in (*c.answers, *(r.critique for r in c.rounds))),
        "prompts_whole": sum(a == b for a, b in zip(rendered, texts, strict=True)),
        "prompts_not_whole": [line for line, (a, b) in enumerate(zip(rendered, texts, strict=True), 1) if a != b],
        "prompts_of_several_turns": sum(len(c.prompt.messages) > 1 for c in chains),
        "prompts_with_blank_lines_inside_a_turn": sum(
            any("\n\n" in m.content for m in c.prompt.messages) for c in chains
        ),
        "prompts_with_a_colon_inside_a_turn": sum(any(": " in m.content for m in c.prompt.messages) for c in chains),
        "principles_in_the_file": len(wording),
        "principles_as_in_the_file": len(hashes),
        "principles_drawn": len({r.principle_id for r in done}),
        "rounds": len(done),
        "rounds_under_a_principle_of_the_file": sum(hashes.get(r.principle_id) == r.principle_hash for r in done),
        "inputs": manifest["inputs"],
        "stages": {name: {"seconds": s["seconds"], **s["counts"]} for name, s in manifest["stages"].items()},
    }


def prefixes(transcripts: Path, limit: int) -> list[str]:
    """What the two transcripts of each of the first rows begin with, up to the last answer."""
    opener = gzip.open if transcripts.suffix == ".gz" else open
    with opener(transcripts, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in islice(file, limit)]
    shared = [
        takewhile(lambda pair: pair[0] == pair[1], zip(row["chosen"], row["rejected"], strict=False)) for row in rows
    ]
    texts = ["".join(a for a, _ in pairs) for pairs in shared]
    return [text[: text.rindex("\n\nAssistant:")] for text in texts]


if __name__ == "__main__":
    run, transcripts, principles = map(Path, sys.argv[1:])
    print(json.dumps(check(run, transcripts, principles), indent=2))
