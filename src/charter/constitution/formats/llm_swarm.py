"""llm-swarm's JSON, from which Hugging Face made its Constitutional AI data sets.

    {"constitutions": [{"critic": ..., "revision": ...}, ...],
     "system_chat": [[{"role": ..., "content": ...}, ...], ...]}

Each chat of `system_chat` is an example: a conversation, then the request for a critique, the critique, the request for
a revision and the revision, user and assistant in turn. It becomes an example of ours as a transcript, and goes back.
"""

from __future__ import annotations

import json
import re

from charter.constitution.formats.base import (
    Format,
    Imported,
    Rendered,
    build,
    count,
    living,
    nothing_fits,
    stem,
    without,
)
from charter.constitution.formats.given import Given, Value
from charter.constitution.schema import Constitution

TASKS = ("CritiqueRequest", "Critique", "RevisionRequest", "Revision")
_TURN = re.compile(r"(?:\A|\n\n)(Human|Assistant|CritiqueRequest|Critique|RevisionRequest|Revision): ")


def _read(given: Given) -> Imported:
    root = given.root
    entries = root.field("constitutions").items()
    principles = [
        (
            entry.place,
            {
                "id": f"principle-{number}",
                "critique": entry.field("critic").text(),
                "revision": entry.field("revision").text(),
            },
        )
        for number, entry in enumerate(entries, 1)
    ]
    found = root.optional("system_chat")
    chats = found.items() if found is not None and found.data != [] else []
    shots = [_transcript(_messages(chat)) for chat in chats]
    notes = [f"`{key}`: the key is not known; not taken over" for key in root.others(_KEYS)]
    unknown = {key for entry in entries for key in entry.others({"critic", "revision"})}
    notes += [f"`{key}` of the principles: the key is not known; not taken over" for key in sorted(unknown)]
    if None in shots:
        number = count(shots.count(None), "chat")
        notes.append(f"{number} of `system_chat`: not an answer, a critique and a revision in turn; not taken over")
    kept = [shot for shot in shots if shot is not None]
    constitution = build(principles, name=given.path.stem, few_shot={"critique_revision": kept})
    return Imported(constitution, tuple(notes))


_KEYS = {"constitutions", "system_chat"}


def _messages(chat: Value) -> list[tuple[str, str]]:
    messages = []
    for message in chat.items():
        role = message.field("role")
        if role.text() not in ("system", "user", "assistant"):
            role.refuse("the role is 'system', 'user' or 'assistant'")
        messages.append((role.data, message.field("content").text()))
    return messages


def _transcript(messages: list[tuple[str, str]]) -> str | None:
    """An example as a transcript; None for a chat that is not one."""
    roles = [role for role, _ in messages]
    if len(messages) < 6 or roles != ["user", "assistant"] * (len(messages) // 2):
        return None
    names = ["Human", "Assistant"] * (len(messages) // 2 - 2) + list(TASKS)
    return "".join(f"\n\n{name}: {text}" for name, (_, text) in zip(names, messages, strict=True))


def _chat(transcript: str) -> list[dict[str, str]] | None:
    """An example as a chat; None where it would not come back as it is."""
    pieces = _TURN.split(transcript)[1:]
    texts = pieces[1::2]
    roles = [("user", "assistant")[index % 2] for index in range(len(texts))]
    if not all(text.strip() for text in texts) or _transcript(list(zip(roles, texts, strict=True))) != transcript:
        return None
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]


def _render(constitution: Constitution) -> Rendered:
    principles, left_out = living(constitution)
    pairs = [p for p in principles if p.critique is not None and p.revision is not None]
    if not pairs:
        raise nothing_fits(constitution, FORMAT.name, "a critique and a revision")
    chats = [_chat(shot) for shot in constitution.few_shot.critique_revision]
    data = {
        "constitutions": [{"critic": p.critique, "revision": p.revision} for p in pairs],
        "system_chat": [chat for chat in chats if chat is not None],
    }
    return Rendered(
        files={f"{stem(constitution.name)}.json": json.dumps(data, indent=2, ensure_ascii=False) + "\n"},
        order=tuple(p.id for p in pairs),
        left_out=(
            *left_out,
            *without([p for p in principles if p.revision is None], "only a comparison"),
            *without([p for p in principles if p.revision and not p.critique], "a revision without a critique"),
        ),
    )


def _detect(given: Given) -> bool:
    return isinstance(given.glance, dict) and "constitutions" in given.glance


FORMAT = Format(
    name="llm-swarm",
    about="llm-swarm's JSON: `constitutions` with `critic` and `revision`, `system_chat` with examples",
    detect=_detect,
    read=_read,
    render=_render,
)
