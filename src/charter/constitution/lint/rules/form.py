"""CC106 to CC109: placeholders, role markers, lengths."""

from __future__ import annotations

import re
from collections.abc import Iterator

from charter.constitution.lint.rule import Hit, Rule
from charter.constitution.lint.subject import Field, Subject
from charter.constitution.lint.text import shorten

_PLACEHOLDER = re.compile(
    r"(?=[{$<\[TFXPLl_%?])(?:\{\{?[^{}\n]{0,60}\}?\}|\$\{?[A-Za-z_]\w{0,40}\}?|<[A-Za-z][\w ./-]{0,40}>|"
    r"\[[A-Z][A-Z0-9 _/-]{1,40}\]|\[(?i:insert|your|name|topic|add|fill|here|placeholder|the name|"
    r"describe)\b[^\]\n]{0,60}\]|\b(?:TODO|TBD|TBC|FIXME|XXX+|PLACEHOLDER)\b|(?i:lorem ipsum)|_{3,}|%(?:s|d|"
    r"\(\w{1,40}\)s)(?!\w)|\?{3,})"
)
_MARK = re.compile(r"[:<\[#]|\b[AB]\b|answer is")
"""What no role marker does without: looked for first, as it is quick."""
_ROLE = re.compile(
    r"\b(?:Human|Assistant|User|System|HUMAN|ASSISTANT|USER|SYSTEM|CritiqueRequest|RevisionRequest|Critique Request|"
    r"Revision Request|Instruction):(?=\s|$)|(?m:^[ \t]*(?:human|assistant|user|system|H|A|Q|AI|Critique|Revision|"
    r"Options|Response)[ \t]*:)|<\|[\w ]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?s>|(?m:^#{2,4} ?(?:Instruction|Response|"
    r"System|Human|Assistant|User)\b)|\((?:A|B)\)|\b(?:[Oo]ption|[Aa]nswer|[Rr]esponse) (?:A|B)\b|\bOptions:|"
    r"\bSo the answer is\b"
)

SHORTEST: dict[Field, int] = {"critique": 4, "revision": 3, "comparison": 4}
LONGEST: dict[Field, int] = {"critique": 120, "revision": 120, "comparison": 100}


def _placeholders(subject: Subject) -> Iterator[Hit]:
    for wording in subject.wordings():
        found = _PLACEHOLDER.search(wording.text.unquoted)
        if found and not _ROLE.match(found.group()):
            message = f"the {wording.field} has a placeholder: '{shorten(found.group())}'"
            yield Hit(wording.keys, message, (wording.principle.id,))


def _roles(subject: Subject) -> Iterator[Hit]:
    for wording in subject.wordings():
        found = _ROLE.search(wording.text.raw) if _MARK.search(wording.text.raw) else None
        if found:
            message = f"the {wording.field} has a mark of the dialogue's format: '{shorten(found.group())}'"
            yield Hit(wording.keys, message, (wording.principle.id,))


def _short(subject: Subject) -> Iterator[Hit]:
    for wording in subject.wordings():
        least, length = SHORTEST[wording.field], wording.text.length
        if length < least:
            message = f"the {wording.field} has {_count(length)}, fewer than {least}: too few to say anything"
            yield Hit(wording.keys, message, (wording.principle.id,))


def _long(subject: Subject) -> Iterator[Hit]:
    for wording in subject.wordings():
        most, length = LONGEST[wording.field], wording.text.length
        if length > most:
            message = f"the {wording.field} has {_count(length)}, more than {most}: too many for one prompt"
            yield Hit(wording.keys, message, (wording.principle.id,))


def _count(length: int) -> str:
    return "1 word" if length == 1 else f"{length} words"


PLACEHOLDER = Rule(
    code="CC106",
    name="placeholder",
    severity="error",
    what="A wording has a placeholder that nobody filled in.",
    fires="Any wording has, outside quotes, something in braces (`{topic}`, `{}`), in angle brackets (`<name>`), in "
    "square brackets and capitals or beginning with *insert*, *your*, *name* and the like (`[HARM]`, `[insert "
    "topic]`), a variable (`$name`, `%s`), a gap (`___`, `???`), or one of TODO, TBD, TBC, FIXME, XXX, PLACEHOLDER, "
    "lorem ipsum.",
    spares="Quoted text, ordinary brackets (*[sic]*, *(see above)*), and the slot `{}` of a chain-of-thought "
    "example, which belongs there.",
    why="Wordings go to the model as they are. A placeholder reaches it as text, and it will talk about the "
    "placeholder.",
    cure="write out what is meant, or remove it",
    source="A known fault of prompt templates; a published constitution has been seen with the word in capitals",
    example_bad="""\
name: example
principles:
  - id: harm
    comparison: Which answer gives less help with {topic}?
""",
    example_good="""\
name: example
principles:
  - id: harm
    comparison: Which answer gives less help with fraud?
""",
    check=_placeholders,
)

ROLE = Rule(
    code="CC107",
    name="role-marker",
    severity="error",
    what="A wording has a mark that belongs to the format of the dialogue: a role, a chat token, an option's label.",
    fires="Any wording, quoted text included, has a role with a colon (`Human:`, `Assistant:`, `User:`, `System:`), "
    "a heading of the method's transcripts (`CritiqueRequest:`, a line that begins with `Critique:`), a chat token "
    "(`<|im_start|>`, `[INST]`, `<<SYS>>`), a heading such as `### Instruction`, or an option's label (`(A)`, `(B)`, "
    "*answer B*, *Options:*, *So the answer is*).",
    spares="The words human, user, assistant and system in a sentence; lists with small letters, (a) and (b); "
    "few-shot examples, where the marks belong.",
    why="Charter puts the roles and the options round the wording itself. A second mark ends the turn early, makes "
    "the model speak for the user, or names an option that is another answer when the order is swapped.",
    cure="leave the mark out: say 'the person', 'the assistant's last answer', 'the first of the two'",
    source="Bai et al. 2022, Constitutional AI (arXiv 2212.08073), appendices A to E, for the transcripts' format; "
    "Zheng et al. 2023, Judging LLM-as-a-Judge (arXiv 2306.05685), on swapping the order",
    example_bad="""\
name: example
principles:
  - id: harm
    critique: 'Look at what comes after Assistant: and quote what could hurt somebody.'
    revision: Rewrite the answer so that it hurts nobody.
""",
    example_good="""\
name: example
principles:
  - id: harm
    critique: Look at the assistant's last answer and quote what could hurt somebody.
    revision: Rewrite the answer so that it hurts nobody.
""",
    check=_roles,
)

SHORT = Rule(
    code="CC108",
    name="too-short",
    severity="warning",
    what="A wording has too few words to say anything.",
    fires="A critique or a comparison has fewer than 4 words, or a revision fewer than 3. Each Chinese, Japanese or "
    "Korean character counts as a word.",
    spares="Short but whole questions: *Which answer is kinder?* has 4 words.",
    why="*Be nice* names neither what to look for nor between what to choose; the model fills in the rest "
    "differently each time.",
    cure="say what to look for, how to rewrite it, or by what to choose",
    source="The shortest wordings that the authors of Constitutional AI published have more words than this (arXiv "
    "2212.08073, appendix C)",
    example_bad="""\
name: example
principles:
  - id: nice
    comparison: Be nice.
""",
    example_good="""\
name: example
principles:
  - id: nice
    comparison: Which answer is kinder to the person who asks?
""",
    check=_short,
)

LONG = Rule(
    code="CC109",
    name="too-long",
    severity="warning",
    what="A wording has too many words for one prompt.",
    fires="A critique or a revision has more than 120 words, or a comparison more than 100, quoted ones included.",
    spares="Rationales, descriptions and few-shot examples, which may be as long as they need to be.",
    why="The wording is repeated in every critique, revision or label, between the conversation and the answers. A "
    "long one costs tokens each time, crowds out the conversation, and mostly hides several principles.",
    cure="split it into several principles, and move the reasons to `rationale`",
    source="Kundu et al. 2023, Specific versus General Principles for Constitutional AI (arXiv 2310.13798), on how "
    "far one short principle carries",
    example_bad=f"""\
name: example
principles:
  - id: everything
    comparison: >-
      Which answer is less harmful, when we think about {"the people it could touch, " * 22} and about all others?
""",
    example_good="""\
name: example
principles:
  - id: everything
    comparison: Which answer is less harmful to the people it touches?
""",
    check=_long,
)

RULES = (PLACEHOLDER, ROLE, SHORT, LONG)
