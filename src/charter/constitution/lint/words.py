"""The word lists that several rules share, as patterns over text in lower case."""

from __future__ import annotations

import re


def words(*alternatives: str) -> re.Pattern[str]:
    """Any of these expressions, as whole words."""
    return re.compile(rf"\b(?:{'|'.join(alternatives)})\b")


HARM = words(
    r"harm\w*", r"unharm\w*", r"danger\w*", r"unsafe\w*", r"safe(?:r|st|ly|ty)?", r"violen\w*", r"illegal\w*",
    r"unlawful\w*", r"crim(?:e|es|inal\w*)", r"unethical\w*", r"ethic\w*", r"immoral\w*", r"moral(?:s|ly|ity)?",
    r"toxic\w*", r"abus\w+", r"hurt\w*", r"injur\w+", r"kill\w*", r"weapons?", r"threat\w*", r"hate(?:ful|d)?",
    r"hatred", r"racis\w+", r"sexis\w+", r"drugs?", r"poison\w*", r"suicid\w*", r"self-harm\w*", r"exploit\w*",
    r"fraud\w*", r"theft", r"steal\w*", r"objectionable", r"offensive\w*", r"cruel\w*", r"break(?:s|ing)? the law",
    r"put(?:s|ting)? \w+ at risk", r"peaceful\w*",
)  # fmt: skip
"""Harm and what keeps from it."""

HELP = words(
    r"helpful\w*", r"useful\w*",
    r"(?:is|be|being|are|was|of) (?:more |most |the most |real |practical |genuine )?(?:help|use|service)",
    r"help(?:s|ing)? (?:with all|the (?:user|human|person|asker|reader)|(?:people|them|users|"
    r"humans) (?:to )?(?:achieve|learn|understand|reach|succeed|get|find|solve|make)|as much|more|most|best|"
    r"with whatever|with everything|in full)",
    r"(?:answers?|answering|addresse?s?|addressing|engag(?:e|es|ing) (?:\w+ ){0,3}with|faces?|takes? up|responds? to|"
    r"meets?|serves?|solves?|fulfils?|fulfills?|follows?) (?:openly with |directly |fully |better |"
    r"more of )?(?:(?:the|their|its|every|each|a|what|all)\b[\w' ]{0,25}? )?(?:questions?|requests?|needs?|tasks?|"
    r"problems?|instructions?|query|queries|asked|asks|harmless)",
    r"(?:gives?|offers?) (?:more|what|the nearest thing|the most)", r"better off",
    r"assist(?:s|ing)? (?:the|with legitimate)",
    r"reliev\w+|relevan(?:t|ce)|practical(?:ly)?|informative|constructive",
)  # fmt: skip
"""Being of help."""

EVASIVE = words(
    r"evasi\w+", r"evad\w+", r"dodg\w+", r"sidestep\w*", r"non-?committal", r"stonewall\w*", r"over-?refus\w*",
    r"over(?:ly|-)?[- ]?(?:cautio\w+|reacti\w+)",
    r"exaggerated (?:safety|caution)",
    r"refus\w+ (?:flatly|without|needlessly|unnecessarily|harmless|a harmless|something harmless|"
    r"innocent|benign|reasonable|legitimate|ordinary|safe|or dodge\w*|something that is harmless|to (?:answer|"
    r"help) (?:with )?(?:harmless|reasonable|legitimate|safe|ordinary))",
    r"(?:flat|needless|blanket|unexplained|unnecessary|unjustified|bare|empty|curt) refusals?",
    r"(?:needlessly|unnecessarily|flatly|wrongly|without (?:a |good |giving a )?reason) (?:refus|declin)\w+",
    r"(?:without|instead of|rather than|not) (?:simply |just |merely )?(?:refus|declin)\w+", r"engag(?:e|es|ing)",
    r"chang(?:e|es|ing) (?:of |the )subject", r"declin\w+ (?:only|what is harmless|harmless|a harmless|reasonable)",
    r"(?:turn\w*|turned) (?:away|down) (?:harmless|for no)",
    r"unhelpful(?:ly)?|ducks? the question|avoids? the question",
)  # fmt: skip
"""Evasion, needless refusal, and what stands against them."""

HONESTY = words(
    r"honest\w*", r"dishonest\w*", r"truth\w*", r"untru\w+", r"true", r"accura\w+", r"inaccura\w+", r"mislead\w*",
    r"misled", r"decei\w+", r"decepti\w+", r"\blies?\b", r"lying", r"false\w*", r"falsehoods?", r"misinform\w*",
    r"disinform\w*", r"factual\w*", r"facts", r"evidence", r"sycophan\w*", r"flatter\w*", r"uncertain\w*",
    r"fabricat\w+", r"hallucinat\w+", r"made[- ]up", r"candou?r", r"candid\w*", r"transparen\w+", r"calibrat\w+",
    r"insincer\w+", r"sincer\w+", r"overconfiden\w+", r"integrity",
)  # fmt: skip
"""Truth, candour, and what stands against them, flattery included."""

FAIRNESS = words(
    r"fair", r"fair(?:er|est|ly|ness)", r"unfair\w*", r"bias\w*", r"unbias\w*", r"discriminat\w*", r"stereotyp\w*",
    r"prejudic\w*", r"racis\w+", r"sexis\w+", r"misogyn\w*", r"equal(?:ity|ly)?", r"inequal\w+", r"inequit\w+",
    r"justice", r"injustice\w*", r"impartial\w*", r"even-?handed\w*", r"inclusive\w*", r"diversity",
)  # fmt: skip
"""Treating people and groups alike."""

RESPECT = words(
    r"respect(?:s|ed|ful|fully|ing)?", r"disrespect\w*", r"dignity", r"polite\w*", r"impolite\w*", r"courte\w+",
    r"kind", r"kind(?:er|est|ly|ness)", r"demean\w*", r"insult\w*", r"rude\w*", r"humiliat\w*", r"mock\w*",
    r"contempt\w*", r"harass\w*", r"condescen\w+", r"offensive\w*", r"offend\w*", r"derogat\w+", r"degrad\w+",
    r"considerate\w*", r"compassion\w*", r"empath\w+", r"belittl\w+", r"toxic\w*", r"slurs?", r"hate", r"hatred",
)  # fmt: skip
"""Courtesy and dignity."""

DIMENSIONS: dict[str, re.Pattern[str]] = {
    "helpfulness": HELP,
    "harmlessness": HARM,
    "honesty": HONESTY,
    "fairness": FAIRNESS,
    "respect": RESPECT,
}
"""What the linter expects every constitution to speak about."""

JAILBREAK = words(
    r"jail-?break\w*", r"role-?\s?play\w*", r"pretext\w*", r"disguis\w+", r"fiction\w*", r"hypothetical\w*",
    r"bait(?:s|ed|ing)?", r"trick(?:s|ed|ing|ery)?", r"circumvent\w*", r"bypass\w*", r"adversarial\w*",
    r"prompt injections?", r"personas?", r"pretend\w*", r"elicit\w*", r"manipulat\w+ the assistant", r"small steps",
    r"loopholes?", r"get around",
)  # fmt: skip
"""Requests in disguise."""

SELF_HARM = words(
    r"suicid\w*", r"self[- ]?harm\w*", r"self[- ]injur\w*",
    r"(?:hurt|harm|kill|starve|injure)(?:s|ing)? (?:themselves|himself|herself|oneself)",
    r"(?:end|take)(?:s|ing)? (?:their|his|her|one's) (?:own )?li(?:fe|ves)", r"eating disorders?", r"anorexi\w*",
    r"(?:in|a|of) (?:a )?(?:crisis|despair|distress)",
    r"danger or distress", r"mental health", r"crisis lines?",
)  # fmt: skip
"""People who may hurt themselves."""

MINORS = words(
    r"child(?:ren|'s|ren's|hood)?", r"minors?", r"under-?age\w*", r"teen(?:s|ager|agers|aged?)?", r"adolescen\w+",
    r"kids?", r"young (?:people|persons?|readers?|users?|audiences?)", r"age-?\s?appropriate\w*",
    r"family-?\s?friendly", r"juveniles?", r"pupils?", r"youths?", r"schoolchild\w*", r"toddlers?", r"infants?",
)  # fmt: skip
"""Children and young people."""

PRIORITY = re.compile(
    r"\b(?:(?:it|that one|the other|this one) (?:always )?(?:loses|wins)|always loses|loses,|whatever its|"
    r"takes? precedence|has priority|ha(?:s|ve) priority|comes? first|goes first|outweighs?|overrides?|above all|"
    r"first of all|first and foremost|if (?:they|both|the two|the answers) (?:are|do|seem)\b[\w ]{0,30}|if neither|"
    r"if both|if equal\w*|of equal|equally|on a tie|ties?|tie-?break\w*|otherwise|only (?:if|where|when|as far as)|"
    r"as (?:far|long) as|unless|except|provided that|where (?:it|this|that) (?:does|is|would)|without (?:making|"
    r"becoming|losing|giving up|being any) |as safe as|between two|matters? (?:more|most)|in that order|"
    r"second(?:ly)?|then prefer|even (?:if|where|when|at))"
)
"""A clause that says which of two demands goes first."""
