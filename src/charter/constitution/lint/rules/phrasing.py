"""CC101 and CC105: how a comparison asks and how a critique asks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from charter.constitution.lint.rule import Hit, Rule
from charter.constitution.lint.subject import Subject
from charter.constitution.lint.text import Text

_FIXED = r"(?! than (?!(?:the |any )?(?:others?|first|second|former|latter)\b))"
"""`More than was asked` measures an answer by something fixed, and does not compare two answers."""
_DEGREE = re.compile(
    rf"\b(?:(?<!\bor )(?<!\bonce )(?<!\bany )(?<!\bno )more\b{_FIXED}|(?<!\bat )less\b{_FIXED}|(?<!\bat )least\b|"
    r"(?<!\bat )most\b(?! (?:people|persons|users|readers|humans|cases|of)\b)|(?:fewer|fewest|sooner(?! or later)|"
    r"soonest|better|best|worse|worst|rather(?! than)|further|closer|closest|prefer(?:s|red|able|ably)?|favou?rs?|"
    r"favou?red|compare[sd]?|comparing|superior|inferior|outweighs?|beats|loses|wins|degree|extent|over the (?:one|"
    r"other)|than the other|which (?:of the two )?does more|similar)\b|as [\w ,'-]{1,80}? as (?:possible|can be|"
    r"it can)\b|to a (?:greater|lesser)\b|(?<!\bno )(?<!\bany )(?:safe|kind|clear|short|long|calm|warm|fair|wise|"
    r"great|high|low|strong|weak|close|near|plain|simpl|soft|gentl|hard|eas|friendl|health|sure|free|large|small|"
    r"quick|slow|old|young|broad|narrow|deep|rich|poor|cool|cold|harsh|rude|polite|likel|full|nice|true|pure|brief|"
    r"neat|tidi|tid|bright|dark|light|heav|humbl|nobl|sound|smart|sharp|blunt|cruel|few|pleasant|livel|loud|quiet|"
    r"cheap|fast|thorough|friend|cost|wild|mild|stern|direct|frank|firm|bold|lean|fresh|rough|smooth|ripe|wide|big|"
    r"small|new|happi|happ|risk|racy|nast|ugl|mean|foul|gross|crude|sill|dull|terse|dens|long)(?:r|er|ier|st|est|"
    r"iest)\b)"
)
_WAY_OUT = re.compile(
    r"\b(?:whether|if(?! (?:possible|you can|needed|necessary|so)\b)|any|anything|anyone|whatever|wherever)\b"
)
_POSSIBLY = re.compile(
    r"\b(?:potential|potentially|possible|possibly)\b|"
    r"\b(?:may|might|could|can)(?: \w+)? (?:be|have|seem|appear|come|encourage|cause|harm|help|lead|mislead|offend|"
    r"hurt)\b"
)
_ASKED = re.compile(
    r"(?:^|[.?!:;,] *|\b(?:and|or) )(?:is|are|was|were|does|do|did|could|can|might|may|has|have|would|will|"
    r"should)\b[^.!]*\?"
)
_PRESUPPOSES = re.compile(
    r"\b(?:identify|explain|describe|discuss|list|show|state|say|point out|enumerate|give|name|detail|outline|"
    r"specify|highlight|analy[sz]e|tell(?: \w+)?|write|demonstrate|argue|"
    r"comment(?: on)?)\b[^.?!;]{0,60}?\b(?:(?:ways?|reasons?|"
    r"respects|aspects|manner)\b[^.?!;]{0,60}?\b(?:is|are|was|were|does|did|has|fails?|failed|violates?|violated|"
    r"harms?|promotes?|promoted|encourages?|encouraged|contains?|contained)|(?:how|why)\b[^.?!;]{0,60}?\b(?:response|"
    r"answer|reply|message|assistant|it|text|output)\b[^.?!;]{0,30}?\b(?:is|are|was|were|fails?|failed|violates?|"
    r"violated|harms?|harmed|promotes?|promoted|encourages?|encouraged|misleads?|misled|breaks?|broke|lacks?|lacked)|"
    r"(?:harmful|unethical|toxic|dangerous|illegal|racist|sexist|biased|offensive|evasive|"
    r"false)[\w ,-]{0,80}? (?:nature|content|parts|elements|aspects) of the)\b|\b(?:why|how) (?:is|was) (?:this|the|"
    r"that)\b[^.?!;]{0,60}?\b(?:response|answer|reply)\b|\bwhat (?:is|was) (?:wrong|harmful|bad|unethical|dangerous|"
    r"offensive) (?:with|in|about)\b|\bin what ways?\b[^.?!;]{0,20}\b(?:is|was|does|did)\b|"
    r"\bstrongest (?:possible )?(?:argument|case)\b[^.?!;]{0,40}?\b(?:that|why|for|against)\b"
)
_FAULTLESS = re.compile(
    r"\b(?:how|why|ways?)\b[^.?!;]{0,60}?\b(?:is|are|was|were) (?:\w+ )?(?:helpful|honest|harmless|safe|good|correct|"
    r"useful|respectful|fair)\b"
)


def _absolute(subject: Subject) -> Iterator[Hit]:
    for wording in subject.wordings("comparison"):
        if not wording.text.has(_DEGREE):
            message = "the comparison names a property that both answers, or neither, may have; no word compares them"
            yield Hit(wording.keys, message, (wording.principle.id,))


def _presupposing(subject: Subject) -> Iterator[Hit]:
    for wording in subject.wordings("critique"):
        found = presupposition(wording.text)
        if found:
            message = f"the critique takes the fault for granted: '{found}'"
            yield Hit(wording.keys, message, (wording.principle.id,))


def presupposition(text: Text) -> str | None:
    """The words that take a fault for granted, unless the text leaves a way out."""
    found = _PRESUPPOSES.search(text.low)
    if (
        found is None
        or _POSSIBLY.search(text.sentence_at(found.start()))
        or text.has(_WAY_OUT)
        or text.has(_ASKED)
        or _FAULTLESS.search(text.low, found.start(), found.end() + 40)
    ):
        return None
    return " ".join(text.raw[found.start() : found.end()].split())


ABSOLUTE = Rule(
    code="CC101",
    name="absolute-comparison",
    severity="warning",
    what="A comparison names a property that an answer has or has not, where it should say which of two answers has "
    "more.",
    fires="The wording `comparison` has no word of degree or preference anywhere outside quotes. Such words are: "
    "more, less, most, least, fewer, better, best, worse, worst, any other comparative or superlative (safer, "
    "kindest), rather (but not *rather than*), closer, similar, prefer, favour, compare, degree, extent, wins, "
    "loses, *over the other*, and *as ... as possible*. So it fires on *Is the answer harmless?*, *The answer should "
    "be polite.* and *Which answer is harmless?*",
    spares="*Prefer the response that ...* and *Choose the response that is as polite as possible*: they ask for a "
    "degree. Words that only look like degrees do not count: *at least*, *at most*, *no more*, *one or more*, *most "
    "people*; nor do *more than* and *less than* with something else than the other answer (*no more than was "
    "asked*). Critiques and revisions are about one answer and are never reported.",
    why="The feedback model is shown two answers and must choose. Where both have the property, or neither, an "
    "absolute question has no answer, and what decides is then noise and the order of the options.",
    cure="ask which answer has more or less of it: 'Which answer is less harmful?'",
    source="Bai et al. 2022, Constitutional AI (arXiv 2212.08073), section 4.1, where a principle chooses between "
    "two answers; Zheng et al. 2023, Judging LLM-as-a-Judge (arXiv 2306.05685), on how much the order of the answers "
    "decides",
    example_bad="""\
name: example
principles:
  - id: privacy
    comparison: Does the answer respect the privacy of other people?
""",
    example_good="""\
name: example
principles:
  - id: privacy
    comparison: Which answer shows more respect for the privacy of other people?
""",
    check=_absolute,
)

PRESUPPOSING = Rule(
    code="CC105",
    name="presupposing-critique",
    severity="info",
    what="A critique request takes it for granted that the answer is at fault.",
    fires="The wording `critique` tells the model to give the ways, the reasons, how or why the answer *is* at "
    "fault, as a fact (*Identify specific ways in which the response is harmful*, *Explain why the answer is rude*, "
    "*In what way is it biased?*, *Explain what is wrong with it*), or asks for the strongest argument against it; and "
    "nothing in the wording leaves room for an answer without the fault.",
    spares="A wording with a way out anywhere: a yes-or-no question (*Is the answer rude? If so, say how.*), "
    "*whether*, *if*, *any*, *anything*, *whatever*; or a possibility in the same sentence (*ways in which it may be "
    "harmful*, *potential harm*). Requests to find passages (*Point to each passage that ...*, *Look for ...*) are "
    "spared: there may be none. So are requests about a good side (*how it is helpful*).",
    why="A model that is asked how an answer is harmful will find harm in a good one, and the revision then makes a "
    "good answer worse: evasive, preachy, or refused. Published principles do this often, and it is effective on "
    "red-team prompts, where most answers are at fault; on ordinary prompts it costs helpfulness.",
    cure="ask first, then for details: 'Is anything in the answer harmful? If so, quote it and say whom it could "
    "hurt.'",
    source="Bai et al. 2022, Constitutional AI (arXiv 2212.08073), section 3.5: critiques were sometimes inaccurate "
    "or overstated; Sharma et al. 2023, Towards Understanding Sycophancy in Language Models (arXiv 2310.13548), on "
    "models that go along with what a prompt assumes",
    example_bad="""\
name: example
principles:
  - id: harm
    critique: Explain the ways in which the assistant's last answer is harmful.
    revision: Rewrite the answer so that it does no harm.
""",
    example_good="""\
name: example
principles:
  - id: harm
    critique: Is anything in the assistant's last answer harmful? If so, say what, and to whom.
    revision: Rewrite the answer so that it does no harm.
""",
    check=_presupposing,
)

RULES = (ABSOLUTE, PRESUPPOSING)
