r"""Human/Assistant transcripts, the format of the hh-rlhf files and of the paper's prompts.

    \n\nHuman: how do I ...\n\nAssistant: first, ...

A turn begins where a block of text does (after an empty line, or at the very beginning) with `Human:` or `Assistant:`,
and goes on to the next such place. Everything in between belongs to it: empty lines, colons, and `Human:` in the middle
of a line. Parsing loses nothing: `render(parse(text)) == text` for every text.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Literal

from charter.core.records import Conversation, Message, Role

Speaker = Literal["Human", "Assistant"]

_MARKER = re.compile(r"((?:\A\s*|\r?\n\r?\n)(?:Human|Assistant):)")
_INSIDE = re.compile(r"(?<!\w)(?:Human|Assistant):")
_ROLES: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}

TEXT_BEFORE = "text before the first turn"
NO_TURNS = "no turns"
ASSISTANT_FIRST = "the assistant speaks first"
EMPTY_TURN = "an empty turn"
TWO_HUMAN = "two Human turns in a row"
TWO_ASSISTANT = "two Assistant turns in a row"
SPEAKER_INSIDE = "a speaker's name inside a turn"


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn as it stands in the text. `marker` is the speaker's name with the colon and the line breaks before it;
    `raw` is all that follows up to the next marker."""

    marker: str
    raw: str

    @property
    def speaker(self) -> Speaker:
        """Whose turn it is."""
        return "Human" if "Human" in self.marker else "Assistant"

    @property
    def content(self) -> str:
        """What was said: whole, but for the one space after the colon."""
        return self.raw.removeprefix(" ")


@dataclass(frozen=True, slots=True)
class Transcript:
    """Turns, and the text before the first of them (empty in a sound transcript)."""

    before: str
    turns: tuple[Turn, ...]

    @property
    def messages(self) -> Conversation:
        """The turns as messages. Turns in a row by one speaker become one message with an empty line between, because
        chat templates want the speakers to alternate."""
        messages: list[Message] = []
        for turn in self.turns:
            role = _ROLES[turn.speaker]
            if messages and messages[-1].role == role:
                messages[-1] = Message(role, f"{messages[-1].content}\n\n{turn.content}")
            else:
                messages.append(Message(role, turn.content))
        return tuple(messages)

    @property
    def oddities(self) -> tuple[str, ...]:
        """What is unusual about it, each reason once."""
        pairs = list(itertools.pairwise(turn.speaker for turn in self.turns))
        found = {
            NO_TURNS: not self.turns,
            TEXT_BEFORE: bool(self.before.strip()),
            ASSISTANT_FIRST: bool(self.turns) and self.turns[0].speaker == "Assistant",
            TWO_HUMAN: ("Human", "Human") in pairs,
            TWO_ASSISTANT: ("Assistant", "Assistant") in pairs,
            EMPTY_TURN: any(not turn.content.strip() for turn in self.turns),
            SPEAKER_INSIDE: any(_INSIDE.search(turn.raw) for turn in self.turns),
        }
        return tuple(reason for reason, is_so in found.items() if is_so)


def parse(text: str) -> Transcript:
    """Split a transcript into turns; text without any turn is all `before`."""
    before, *pieces = _MARKER.split(text)
    return Transcript(before, tuple(Turn(*pair) for pair in zip(pieces[::2], pieces[1::2], strict=True)))


def render(transcript: Transcript) -> str:
    """The text again, character for character."""
    return transcript.before + "".join(turn.marker + turn.raw for turn in transcript.turns)
