"""CC301 to CC308: what no principle speaks about."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from charter.constitution.lint.coverage import by_dimension, by_hazard, evidence
from charter.constitution.lint.rule import Check, Hit, Rule, Severity
from charter.constitution.lint.subject import Member, Subject
from charter.constitution.lint.words import EVASIVE, HELP, HONESTY, JAILBREAK, MINORS, SELF_HARM

_WHOLE = ("principles",)
_HELPFUL_LABEL = re.compile(r"\b(?:help(?:ful(?:ness)?)?|usefulness|utility|service)\b")


def _helps(subject: Subject) -> bool:
    return any(_is_helpful(member) for member in subject.members)


def _is_helpful(member: Member) -> bool:
    """Does a principle ask for help? What a critique looks for is a fault; what is negated is not asked for."""
    by_label = any(e.part in ("tag", "category") for e in evidence(member, _HELPFUL_LABEL, {"helpfulness"}))
    return by_label or any(w.text.asserts(HELP) for w in member.wordings if w.field != "critique")


def _mentions(pattern: re.Pattern[str]) -> Callable[[Subject], bool]:
    return lambda subject: any(any(evidence(m, pattern, set())) for m in subject.members)


def _missing(present: Callable[[Subject], bool], message: str) -> Check:
    def check(subject: Subject) -> Iterator[Hit]:
        if subject.members and not present(subject):
            yield Hit(_WHOLE, message)

    return check


def _dimensions(subject: Subject) -> Iterator[Hit]:
    for dimension in ("harmlessness", "fairness", "respect"):
        if not any(by_dimension(subject, dimension)):
            yield Hit(_WHOLE, f"no principle covers the dimension '{dimension}'")
    for index, dimension in enumerate(subject.constitution.dimensions):
        if dimension.casefold() not in ("harmlessness", "fairness", "respect") and not any(
            by_dimension(subject, dimension)
        ):
            yield Hit(
                ("dimensions", index),
                f"no principle covers the dimension '{dimension}': it is the tag or category of none",
            )


def _hazards(subject: Subject) -> Iterator[Hit]:
    missing = [h for h in subject.taxonomy.hazards if not any(True for _ in by_hazard(subject, h))]
    if missing:
        total, names = len(subject.taxonomy.hazards), ", ".join(f"{h.id} {h.title}" for h in missing)
        yield Hit(
            _WHOLE,
            f"{len(missing)} of {total} hazards of {subject.taxonomy.label} are covered by no principle: {names}",
        )


_NARROW = (
    "A constitution for one purpose, such as a module that others extend, may leave this out: say so in `lint_ignore`."
)
_COUNTS = (
    " A word counts in a wording (quotes left out), in a tag, and in the id or title of the category; ids of "
    "principles, rationales and retired principles do not count."
)
_OTHER = """\
name: example
principles:
  - id: harm
    comparison: Which answer is less harmful?
"""


def _rule(
    code: str,
    name: str,
    what: str,
    fires: str,
    why: str,
    cure: str,
    source: str,
    good: str,
    check: Check,
    severity: Severity = "warning",
    spares: str = _NARROW,
) -> Rule:
    """A rule of this group; all but one have the same bad example."""
    good = _OTHER + good
    return Rule(code, name, severity, what, fires, spares, why, cure, source, _OTHER, good, check)


RULES = (
    _rule(
        "CC301",
        "no-helpfulness",
        "No principle asks the model to be of help.",
        "No revision and no comparison asks, outside a negation, for help: *helpful*, *useful*, *informative*, "
        "*answers the question*, *engages with the request*, *of more help*, *offers what it can*; and no principle "
        "has a tag or a category such as *help*, *helpful* or *helpfulness*. *Helps less with theft* and what a "
        "critique looks for do not count.",
        "Where every principle takes away, the least harmful answer is no answer. Models trained on such lists "
        "refuse harmless requests that only sound harmful.",
        "add a principle that rewards help: 'Which answer is more useful to the person, within what may be given?'",
        "Röttger et al. 2023, XSTest (arXiv 2308.01263), on exaggerated safety; Bai et al. 2022 (arXiv 2204.05862), "
        "on helpfulness against harmlessness",
        "  - id: help\n    comparison: Which answer is more useful to the person who asks?\n",
        _missing(_helps, "no principle asks for help: the model may learn to refuse"),
    ),
    _rule(
        "CC302",
        "no-anti-evasiveness",
        "No principle speaks against evasion or needless refusal.",
        "No principle mentions evasive or dodging answers, needless, flat or unexplained refusals, refusing what is "
        "harmless, too much caution or reaction, or asks for engagement with the request." + _COUNTS,
        "A harmless answer is easiest to reach by saying nothing. The authors of Constitutional AI wanted, and got, "
        "models that decline harmful requests with reasons and do not evade.",
        "add a principle: 'Which answer engages more openly with the request, and gives its reasons where it "
        "declines?'",
        "Bai et al. 2022, Constitutional AI (arXiv 2212.08073), section 1.1, on a harmless but non-evasive "
        "assistant; Röttger et al. 2023, XSTest (arXiv 2308.01263)",
        "  - id: openness\n    comparison: Which answer is less evasive, and gives better reasons where it declines?\n",
        _missing(_mentions(EVASIVE), "no principle speaks against evasion or needless refusal"),
    ),
    _rule(
        "CC303",
        "no-honesty",
        "No principle speaks of honesty, truth or flattery.",
        "No principle mentions honesty, truth, accuracy, facts or evidence, false or misleading statements, deceit, "
        "uncertainty, integrity, flattery or sycophancy." + _COUNTS,
        "Answers that please are preferred, by people and by models, sometimes over answers that are true. A "
        "preference model that no principle turns towards truth learns to flatter.",
        "add a principle: 'Which answer is more honest, including where the truth is unwelcome?'",
        "Sharma et al. 2023, Towards Understanding Sycophancy in Language Models (arXiv 2310.13548)",
        "  - id: honesty\n    comparison: Which answer is more honest, even where the truth is unwelcome?\n",
        _missing(_mentions(HONESTY), "no principle speaks of honesty: the model may learn to flatter"),
    ),
    _rule(
        "CC304",
        "uncovered-dimension",
        "No principle covers one of the dimensions that are expected, or that the constitution says it covers.",
        "Harmlessness, fairness or respect is neither the tag nor the category of a principle, nor named by words of "
        "its kind (harm, danger, crime; fair, bias, stereotype, racism; respect, dignity, insult, kindness). Or a "
        "name listed under `dimensions` is neither the tag nor the category (id or title) of a principle; "
        "helpfulness and honesty may be covered by words as well. One finding for each. Helpfulness and honesty that "
        "are not listed have rules of their own, CC301 and CC303." + _COUNTS,
        "What no principle speaks about is decided by the model's habits alone. `dimensions` is a promise to "
        "readers; this rule keeps it.",
        "add a principle, or give one that covers it the dimension as a tag",
        "Askell et al. 2021, A General Language Assistant as a Laboratory for Alignment (arXiv 2112.00861), on "
        "helpful, honest and harmless; the rest is this project's choice",
        "  - id: fairness\n    comparison: Which answer is fairer to the groups it mentions?\n  - id: respect\n    "
        "comparison: Which answer treats people with more respect?\n",
        _dimensions,
    ),
    _rule(
        "CC305",
        "no-jailbreaks",
        "No principle speaks of requests in disguise.",
        "No principle mentions jailbreaks, role-play, pretexts, disguise, fiction, hypothetical cases, bait, tricks, "
        "attempts to elicit or to get around, or harm in small steps." + _COUNTS,
        "Many harmful requests come as a story, a role or a test. Principles that look at the plain request alone "
        "miss them.",
        "add a principle on what is asked for behind the story, the role or the excuse",
        "Wei et al. 2023, Jailbroken: How Does LLM Safety Training Fail? (arXiv 2307.02483)",
        "  - id: disguise\n    comparison: Strip away the role-play round the request. Which answer gives away less "
        "that could do harm?\n",
        _missing(_mentions(JAILBREAK), "no principle speaks of requests in disguise (jailbreaks, role-play, pretexts)"),
    ),
    _rule(
        "CC306",
        "no-self-harm",
        "No principle speaks of people who may hurt themselves.",
        "No principle mentions suicide, self-harm, self-injury, eating disorders, mental health, or a person in a "
        "crisis, in despair or in distress." + _COUNTS,
        "These conversations call for the opposite of a refusal: attention, and help within reach. General "
        "principles against harm lead to form letters.",
        "add a principle on how to answer somebody who may be in danger from themselves",
        "MLCommons AILuminate v1.0 (arXiv 2503.05731), hazard suicide and self-harm",
        "  - id: crisis\n    comparison: Which answer is better for a person who may be thinking of suicide?\n",
        _missing(_mentions(SELF_HARM), "no principle speaks of people who may hurt themselves"),
    ),
    _rule(
        "CC307",
        "no-minors",
        "No principle speaks of children.",
        "No principle mentions children, minors, teenagers, young people, or what is age-appropriate or "
        "family-friendly." + _COUNTS,
        "Children read answers too, and some requests aim at them. What is fit for adults may not be fit for them.",
        "add a principle on children, as readers and as those spoken about",
        "MLCommons AILuminate v1.0 (arXiv 2503.05731), hazard child sexual exploitation; Bai et al. 2022 (arXiv "
        "2212.08073), appendix C, which has such a principle",
        "  - id: children\n    comparison: Which answer would be better for a child to read?\n",
        _missing(_mentions(MINORS), "no principle speaks of children"),
    ),
    _rule(
        "CC308",
        "hazard-gap",
        "Some hazards of a published taxonomy are covered by no principle.",
        "At least one hazard of the taxonomy is covered by no principle. By default the taxonomy is that of "
        "MLCommons AILuminate v1.0 with twelve hazards: violent crimes, non-violent crimes, sex-related crimes, "
        "child sexual exploitation, defamation, specialized advice, privacy, intellectual property, indiscriminate "
        "weapons, hate, suicide and self-harm, sexual content. A principle covers a hazard by a tag with its id or "
        "its title (`S7`, `privacy`), or by words that name that hazard or a case of it (in a wording, a tag or the "
        "category). General words (*harmful*, *unethical*) cover none. There is one finding, which lists the gaps.",
        "General principles carry far, but finer control over a kind of harm needs a principle that names it; and an "
        "auditor will ask. This is information: not every constitution has to name every hazard.",
        "add principles, or tags to those that cover the hazard: `tags: [privacy]`",
        "Ghosh et al. 2025, AILuminate (arXiv 2503.05731); Kundu et al. 2023 (arXiv 2310.13798), on specific and "
        "general principles",
        "    tags: [S1, S2, S3, S4, S5, S6, S7, S8, S9, S10, S11, S12]\n",
        _hazards,
        severity="info",
        spares=_NARROW + " Another taxonomy may be given as a file of the same form.",
    ),
)
