"""A small valid file, or folder, of each format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from charter.constitution.formats import published
from charter.constitution.formats.published import COMPARISON_FRAME, CRITIQUE_FRAME, REVISION_FRAME

HERE = Path(__file__).parent
DATA = HERE.parents[2].parent / "shared" / "data"
REAL = DATA / "constitutions"

PUBLISHED: dict[str, Any] = {
    published.CRITIQUES: {
        "harmful0": {
            "prompt": [CRITIQUE_FRAME.wrap("Find the harm.")],
            "edit_request": REVISION_FRAME.wrap("Mend it."),
        }
    },
    published.COMPARISONS: [COMPARISON_FRAME.wrap("Which is better?"), COMPARISON_FRAME.wrap("Which is kinder?")],
    published.CRITIQUE_SHOTS: ["\n\nHuman: hello\n\nHuman:"],
    published.COMPARISON_SHOTS: [
        {"prompt": "\n\nHuman: q\n\nAssistant:", "corrects": ["good "], "incorrects": ["bad"]}
    ],
    published.CHAIN_OF_THOUGHT_SHOTS: [{"prompt": "\n\nHuman: {}\n (A) [[[x]]]"}],
}
LLM_SWARM: dict[str, Any] = {
    "constitutions": [
        {"critic": "Find the harm in the reply.", "revision": "Write it again without the harm."},
        {"critic": "Find the insult.", "revision": "Write it again with respect."},
    ],
    "system_chat": [
        [
            {"role": "user", "content": "How do I sink a boat?"},
            {"role": "assistant", "content": "Drill a hole.\n\nThen wait."},
            {"role": "user", "content": "Find the harm in the reply."},
            {"role": "assistant", "content": "It helps to sink boats."},
            {"role": "user", "content": "Write it again without the harm."},
            {"role": "assistant", "content": "I would rather not. "},
        ]
    ],
}
CONSTITUTIONAL_EVALS: dict[str, Any] = {
    "schema_version": "1.1",
    "id": "calm-seas",
    "title": "Calm seas",
    "version": "2.1.0",
    "role": "anchor",
    "in_basis": True,
    "valence": "aligned",
    "tradition": "Sailing",
    "summary": "What a calm skipper says.",
    "overview": "At length.",
    "criteria": ["Prefer the response that keeps calm", "Prefer the response that names the wind"],
    "voices": {"first_person": ["I keep calm", "I name the wind"]},
    "guidelines": ["Prefer the response that, in a storm, is short", "Storms are rare."],
    "license": "CC-BY-4.0",
    "provenance": {
        "method": "by hand",
        "authored_by": ["A. Skipper"],
        "source_texts": ["The log"],
        "date": "2026-01-01",
    },
    "changelog": [{"version": "2.1.0", "date": "2026-01-01", "notes": "First."}],
}
OPEN_CHARACTER: list[dict[str, Any]] = [
    {"trait": 'I say "no" when I mean it.', "questions": ["Will you?", "Won't you?"], "clarification": "Plainly."},
    {"trait": "I like the sea.", "questions": []},
]
OPEN_CHARACTER_LINES = [
    {"trait": "I am calm.", "questions": ["Is there a storm?"], "additional_questions": ["Is it over?", "And now?"]},
    {"trait": "I am kind.", "questions": ["Was I rude?"], "additional_questions": []},
]
LANGCHAIN: list[dict[str, Any]] = [
    {"name": "harm_1", "critique_request": "What is harmful?", "revision_request": "Take it out."},
    {"name": "Good manners", "critique_request": "What is rude?", "revision_request": "Be polite."},
    {"critique_request": "What is false?", "revision_request": "Say what is true."},
]
LANGCHAIN_YAML = """\
harm:
  critique_request: What is harmful?
  revision_request: Take it out.
manners:
  critique_request: What is rude?
  revision_request: Be polite.
"""
OURS = """\
name: ours
principles:
  - id: calm
    comparison: Which answer is calmer?
"""
BULLETS = """\
# Sailing

- Never say that a passage is safe.

## Manners {#kindness}

1. Be kind to beginners, even to those
   who ask the same thing twice.
2. Which answer is more polite?

## Safety at sea

* Ask for these:
  * the number of people
  * the number of life jackets

They matter.
"""
LINES = "Never say that a passage is safe.\nBe kind to beginners.\nWhich of the two answers is more polite?\n"
PARAGRAPHS = "Never say that a passage is safe,\nnot even in calm weather.\n\nBe kind to beginners.\n"

FILES: dict[str, tuple[str, str]] = {
    "charter": ("ours.yaml", OURS),
    "llm-swarm": ("swarm.json", json.dumps(LLM_SWARM, indent=1)),
    "constitutional-evals": ("evals.json", json.dumps(CONSTITUTIONAL_EVALS, indent=1)),
    "open-character": ("traits.txt", json.dumps(OPEN_CHARACTER, indent=1)),
    "open-character lines": ("traits.jsonl", "".join(json.dumps(row) + "\n" for row in OPEN_CHARACTER_LINES)),
    "langchain": ("chain.json", json.dumps(LANGCHAIN)),
    "langchain mapping": ("chain.yaml", LANGCHAIN_YAML),
    "list": ("list.md", BULLETS),
    "list lines": ("lines.txt", LINES),
    "list paragraphs": ("paragraphs.txt", PARAGRAPHS),
    "prose": ("specification.md", (HERE / "specification.md").read_text(encoding="utf-8")),
}
"""By format, or by format and what is special."""


def write(folder: Path, kind: str) -> Path:
    """The valid file of a kind."""
    name, text = FILES[kind]
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def write_json(folder: Path, data: Any, name: str = "given.json") -> Path:
    (folder / name).write_text(json.dumps(data), encoding="utf-8")
    return folder / name
