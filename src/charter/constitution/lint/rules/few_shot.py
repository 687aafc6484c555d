"""CC401 to CC403: examples that teach something else than their principle."""

from __future__ import annotations

import re
from collections.abc import Iterator

from charter.constitution.lint.rule import Hit, Rule
from charter.constitution.lint.subject import Subject
from charter.constitution.lint.words import HARM, words
from charter.constitution.schema import ComparisonShot, FewShot
from charter.core.yaml import Keys

_HARMFUL = words(
    r"(?:kill|murder|poison|stab|hurt|attack|assault|threaten|kidnap|blackmail|stalk|rape|strangle|injure|beat up|"
    r"drug) (?:someone|somebody|(?:a|the|my|his|her|our) (?!weeds?|process|time|plants?|bugs?|pests?|lawn|engine|"
    r"ants?|mood)\w+|him|her|them|people)",
    r"(?:make|build|buy|get|plant|cook|set off|write|create) (?:an? |some |my own |the )?(?:\w+ )?(?:bombs?|"
    r"explosives?|guns?|weapons?|meth|cocaine|heroin|malware|ransomware|keylogger|fake id|nerve gas)",
    r"(?:steal|rob|shoplift|break into|burgle|hack|hack into|burn down|launder|forge|counterfeit|defraud|scam|"
    r"spy on|phish|dox|smuggle)", r"(?:bomb|gun|weapon|knife) to \w+", r"(?:bank|armed) robbery", r"terrorist attack",
)  # fmt: skip
_INNOCENT = words(
    r"stor(?:y|ies)", r"novels?", r"films?", r"movies?", r"games?", r"history", r"prevent\w*", r"protect\w*",
    r"without harming", r"being \w+ed", r"why (?:is|do|did|are|was)", r"what (?:is|was|does)", r"against", r"python",
    r"linux", r"hackathon",
)  # fmt: skip
_DECLINES = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|afraid|not (?:able|going|willing|comfortable))|i (?:can't|cannot|can not|won't|"
    r"will not|couldn't|shouldn't|should not|don't (?:want|feel|think)|do not (?:want|feel|think)|"
    r"refuse|must decline|decline|would (?:strongly )?(?:advise|urge|discourage))|not something i|unable to|"
    r"you should(?:n't| not)|please (?:don't|do not|seek|stop)|is (?:illegal|against the law|a crime)|"
    r"as an ai|no\b[,.!])"
)
_LAST_TURN = re.compile(r"(?:^|\n\n)Human:")
_ANSWER = re.compile(r"[Ss]o the answer is:? *\(?([AB])\)?")
_ENDS_FOR = re.compile(
    r"\b(?:options?|responses?|answers?|choices?)? ?\(?\b([AB])\)?,? (?:is|was|would be|seems|appears|looks|does|"
    r"wins|gives)(?: (?:to be|clearly|definitely|probably|therefore|thus|much|far|the|a|overall))* (?:best|better|"
    r"preferable|preferred|superior|less harmful|least harmful|more \w+|most \w+|safer|kinder|safest|winner|less of)|"
    r"\b(?:choose|prefer|pick|select|go with|favou?r|choosing|best (?:response|answer|option) is|better (?:response|"
    r"answer|option|one) is|better of the two is)(?: the)? (?:options?|responses?|answers?)? ?\(?\b([AB])\b\)?",
)


def _sets(subject: Subject) -> Iterator[tuple[Keys, FewShot, str | None]]:
    """Every set of examples, with its place and its principle."""
    yield ("few_shot",), subject.constitution.few_shot, None
    for member in subject.members:
        yield (*member.keys, "few_shot"), member.principle.few_shot, member.principle.id


def _against(subject: Subject) -> Iterator[Hit]:
    reduces = {m.principle.id: any(w.text.has(HARM) for w in m.wordings) for m in subject.members}
    for keys, shots, owner in _sets(subject):
        if reduces[owner] if owner is not None else any(reduces.values()):
            for index, shot in enumerate(shots.comparison):
                if _reversed(shot):
                    message = "the chosen answer complies with a harmful request and the rejected one declines"
                    yield Hit((*keys, "comparison", index), message, (owner,) if owner else ())


def _reversed(shot: ComparisonShot) -> bool:
    request = _request(shot.prompt)
    harmful = _HARMFUL.search(request) and not _INNOCENT.search(request)
    return bool(harmful) and not _declines(shot.chosen) and _declines(shot.rejected)


def _request(prompt: str) -> str:
    """The last turn of the person, in lower case."""
    return _LAST_TURN.split(prompt[-20_000:])[-1].partition("\n\nAssistant:")[0].lower()


def _declines(answer: str) -> bool:
    return _DECLINES.search(answer[:2000].lower().replace("’", "'")) is not None


def _contradictory(subject: Subject) -> Iterator[Hit]:
    for keys, shots, owner in _sets(subject):
        for index, text in enumerate(shots.chain_of_thought):
            answer, reasoned = verdicts(text)
            if answer and reasoned and answer != reasoned:
                message = f"the reasoning ends for ({reasoned}) and the answer is ({answer})"
                yield Hit((*keys, "chain_of_thought", index), message, (owner,) if owner else ())


def verdicts(text: str) -> tuple[str | None, str | None]:
    """The option that a chain of thought answers with, and the one that its reasoning ends for; None where unsaid."""
    answers = list(_ANSWER.finditer(text))
    if not answers:
        return None, None
    before = text[: answers[-1].start()]
    reasoning = before[before.rfind("\n\nAssistant:") + 1 :][-4000:]
    ends = [match.group(1) or match.group(2) for match in _ENDS_FOR.finditer(reasoning)]
    return answers[-1].group(1), ends[-1] if ends else None


def _one_sided(subject: Subject) -> Iterator[Hit]:
    for keys, shots, owner in _sets(subject):
        answers = [verdicts(text)[0] for text in shots.chain_of_thought]
        named = [answer for answer in answers if answer]
        if len(named) >= 2 and len(set(named)) == 1:
            message = f"all {len(named)} examples answer ({named[0]})"
            yield Hit((*keys, "chain_of_thought"), message, (owner,) if owner else ())


AGAINST = Rule(
    code="CC401",
    name="example-against-principle",
    severity="warning",
    what="A comparison example prefers the answer that does the harm its principle is against.",
    fires="In an example under `few_shot.comparison`, the person's last turn asks for something evidently harmful (a "
    "crime, a weapon, violence), the chosen answer complies, and the rejected one declines or warns; and the "
    "principle (for the constitution's own examples: any of its principles) is against harm.",
    spares="Examples in which both answers decline or both comply, those on harmless requests, and those under "
    "principles that say nothing of harm.",
    why="Examples outweigh instructions. One that is the wrong way round teaches the feedback model to prefer harm, "
    "in every label it makes; mostly the two answers were swapped by mistake.",
    cure="swap `chosen` and `rejected`",
    source="Min et al. 2022, Rethinking the Role of Demonstrations (arXiv 2202.12837), on what models take from "
    "examples; Bai et al. 2022 (arXiv 2212.08073), appendix E, for the form",
    example_bad="""\
name: example
principles:
  - id: harm
    comparison: Which answer is less harmful?
few_shot:
  comparison:
    - prompt: "\\n\\nHuman: How do I break into my neighbour's house?\\n\\nAssistant:"
      chosen: Use a bump key on the back door while they are at work.
      rejected: I won't help with that. It is a crime, and it would frighten them badly.
""",
    example_good="""\
name: example
principles:
  - id: harm
    comparison: Which answer is less harmful?
few_shot:
  comparison:
    - prompt: "\\n\\nHuman: How do I break into my neighbour's house?\\n\\nAssistant:"
      chosen: I won't help with that. It is a crime, and it would frighten them badly.
      rejected: Use a bump key on the back door while they are at work.
""",
    check=_against,
)

_THOUGHT = (
    '    - "\\n\\nHuman: Consider this conversation: H: Hello.\\n\\n{}\\n (A) Hi there.\\n (B) Go '
    "away.\\n\\nAssistant: "
    "Let's think step by step: (A) is friendly, and (B) is not. So option (%s) is better.\\n\\nHuman:\\nSo the "
    'answer is: (%s)"\n'
)
_TURNED = (
    '    - "\\n\\nHuman: Consider this conversation: H: Good morning.\\n\\n{}\\n (A) What now?\\n (B) Good morning '
    "to you.\\n\\nAssistant: "
    "Let's think step by step: (A) is gruff. So option (B) is better.\\n\\nHuman:\\nSo the answer is: (B)\"\n"
)
_HEAD = (
    "name: example\nprinciples:\n  - id: friendly\n    comparison: Which answer is friendlier?\nfew_shot:\n  "
    "chain_of_thought:\n"
)

CONTRADICTORY = Rule(
    code="CC402",
    name="reasoning-against-answer",
    severity="error",
    what="A chain-of-thought example reasons for one option and answers with the other.",
    fires="In an example under `few_shot.chain_of_thought`, the last option that the reasoning calls the better one "
    "(*option (A) is the best*, *I would choose (A)*) is not the one in *So the answer is: (B)*.",
    spares="Reasoning that praises both or names no better option, and examples without such an answer.",
    why="The feedback model learns that the reasoning does not matter, and the label that follows it is arbitrary.",
    cure="correct the answer, or the end of the reasoning",
    source="Bai et al. 2022, Constitutional AI (arXiv 2212.08073), section 4.1, on chains of thought for labels",
    example_bad=_HEAD + _THOUGHT % ("A", "B"),
    example_good=_HEAD + _THOUGHT % ("A", "A"),
    check=_contradictory,
)

ONE_SIDED = Rule(
    code="CC403",
    name="one-sided-answers",
    severity="warning",
    what="All chain-of-thought examples of a set answer with the same option.",
    fires="A set under `few_shot.chain_of_thought`, of the constitution or of a principle, has at least two examples "
    "with *So the answer is: (X)*, and X is the same in all of them.",
    spares="Sets with both answers, single examples, and comparison examples, whose order is drawn anew for each "
    "prompt.",
    why="A model copies the answer that its examples give most often, and already leans towards one position. With "
    "one-sided examples the label depends on the place of an answer, not on the answer.",
    cure="swap the options in about half of the examples",
    source="Zhao et al. 2021, Calibrate Before Use (arXiv 2102.09690), on majority label bias; Zheng et al. 2023, "
    "Judging LLM-as-a-Judge (arXiv 2306.05685), on position bias",
    example_bad=_HEAD + _THOUGHT % ("A", "A") + _THOUGHT.replace("Hello", "Hey") % ("A", "A"),
    example_good=_HEAD + _THOUGHT % ("A", "A") + _TURNED,
    check=_one_sided,
)

RULES = (AGAINST, CONTRADICTORY, ONE_SIDED)
