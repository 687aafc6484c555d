"""CC102 and CC103: principles that say too much about one case, or that need what no prompt contains."""

from __future__ import annotations

import re
from collections.abc import Iterator

from charter.constitution.lint.rule import Hit, Rule
from charter.constitution.lint.subject import Subject
from charter.constitution.lint.text import Text, shorten

_MONTHS = "january|february|march|april|june|july|august|september|october|november|december"
_DATE = re.compile(
    rf"\b(?:{_MONTHS}) \d{{1,4}}\b|\b\d{{1,2}}(?:st|nd|rd|th)? (?:of )?(?:{_MONTHS})\b|\b(?:in|on|by|since|until|of|"
    rf"before|after|last|next|"
    rf"every) (?:{_MONTHS})\b|\bmay \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}\b|\b\d{{4}}-\d{{2}}-\d{{2}}\b|"
    rf"\b\d{{1,2}}/\d{{1,2}}/\d{{2,4}}\b|"
    r"(?<![\w.])(?:19|20)\d\ds?\b|\bon (?:mon|tues|wednes|thurs|fri|satur|sun)days?\b"
)
_DIGIT = re.compile(r"\d")
_MONTH_OR_DAY = re.compile(rf"\b(?:{_MONTHS}|(?:mon|tues|wednes|thurs|fri|satur|sun)days?)\b")
_FIGURE = re.compile(r"\d(?<![\w.(/-]\d)[\d.,]*(?:\s?%| ?per ?cent)?(?![\w)/-])")
_COUNTED = re.compile(
    r"\b(?:three|four|five|six|seven|eight|nine|ten|eleven|"
    r"twelve|fifteen|twenty|thirty|fifty|hundred|thousand) (?:\w+ )?(?:words?|sentences?|paragraphs?|lines?|bullets?|"
    r"bullet points?|characters|tokens|minutes?|hours?|days?|steps|examples|items|pages|reasons|sources|questions|"
    r"emojis?|times)\b"
)
_LABEL = re.compile(
    r"\b(?:criterion|principle|rule|article|section|chapter|step|option|number|no\.|part|item|level|tier|under|over|"
    r"age|aged|than|below|version|point|line)\s*$"
)
_AGE = re.compile(r"(?:under|over|age|aged|than|below|of)\s*$")
_ADULT = {"12", "13", "14", "15", "16", "17", "18", "20", "21"}
_NAME = re.compile(
    r"\b(?=[A-Zi])(?:(?P<product>(?:ChatGPT|GPT(?:-?\w+)?|OpenAI|Claude|Anthropic|Gemini|Bard|Llama|Mistral|Copilot|Siri|Alexa|"
    r"Cortana|Google|Facebook|Meta|Instagram|WhatsApp|Twitter|TikTok|YouTube|Reddit|Wikipedia|Microsoft|Windows|"
    r"Office|Excel|Amazon|Apple|iPhone|iPad|iOS|Android|Tesla|Uber|Airbnb|Netflix|Spotify|Disney|Nike|Coca-Cola|"
    r"Pepsi|McDonald's|Starbucks|Ikea|IKEA|Bitcoin|Ethereum|Photoshop|Linux|GitHub|PlayStation|Xbox|Nintendo|"
    r"Minecraft|Fortnite|Viagra|Tylenol|Aspirin|Telegram|Snapchat|LinkedIn|PayPal|Zoom|Slack|Samsung|Huawei)\b(?!'))|"
    r"(?P<person>(?:Mr|Mrs|Ms|Dr|Prof|President|Senator|Sir|King|Queen|Pope|Chancellor|Minister)\.? [A-Z][a-z]+|"
    r"Gandhi|Einstein|Hitler|Stalin|Jesus|Socrates|Aristotle|Plato|Kant|Confucius|Buddha|Muhammad|Mandela|"
    r"Shakespeare|Trump|Biden|Obama|Putin|Musk|Churchill|Lincoln|(?:Martin|Nelson|Elon|Donald|Joe|Barack|Vladimir|"
    r"Albert|Mahatma|Mother|Isaac|Steve|Bill|Mark|Jeff|Tim|Sam|John|Mary|James|Robert|Michael|William|David|Richard|"
    r"Thomas|Charles|Maria|Anna|Emma|Alice|Bob|Peter|Paul|George|Angela|Taylor|Greta|Stephen|"
    r"Marie) (?:[A-Z][a-z]+\b ?)+))"
)
_REQUEST = re.compile(
    r"\b(?:if|when|whenever|where|in case|every time) (?:the |a |an |some)?(?:user|human|person|someone|somebody|"
    r"people|customer|asker|prompt|request|message|question|they|one)\b[^.?!;\"“]{0,30}?(?:says?|asks?|writes?|"
    r"types?|sends?|is|reads?|states?|enters?)\b[^.?!;\"“]{0,20}[\"“]"
)
_EXAMPLE = re.compile(
    r"\b(?:(?<!more )(?<!most )(?<!much )(?<!just )(?<!sounds )(?<!sound )(?<!be )(?<!is )"
    r"(?<!talk )(?<!talks )(?<!speak )(?<!speaks )(?<!write )(?<!writes )"
    r"(?<!act )(?<!acts )(?<!behave )(?<!behaves )(?<!look )(?<!looks )(?<!feel )(?<!feels )like\b|such as|e\.g\.|"
    r"for example|for instance|including|say,)(?:[^.;?!]|\bjr\.|\bdr\.){0,60}$"
)
_DOCUMENT = re.compile(r"[\w ]{0,40}\b(?:Declaration|Convention|Covenant|Charter|Rights)\b")

_COUNTRY = (
    r"american|u\.?s\.?a?\.?|united states|british|uk|united kingdom|english|german|germany|french|france|european|"
    r"eu|e\.u\.|chinese|china|indian|india|japanese|japan|canadian|canada|australian|australia|russian|russia|"
    r"brazilian|brazil|italian|italy|spanish|spain|swiss|switzerland|dutch|netherlands|swedish|sweden|californian?|"
    r"texan|texas|new york|irish|ireland|mexican|mexico|korean|korea|israeli?|turkish|turkey|saudi|iranian?|"
    r"nigerian?|south africa|south african|federal"
)
_LAW = (
    r"(?:laws?|legal|legislation|regulations?|statutes?|courts?|rules|constitution|penal code|jurisdiction|"
    r"requirements)"
)
_NEEDS = {
    "a jurisdiction": (
        rf"(?:(?:{_COUNTRY})(?:'s)? (?:\w+ )?{_LAW}|{_LAW} (?:\w+ )?(?:of|in|under) (?:the )?(?:{_COUNTRY})|"
        r"gdpr|hipaa|dmca|coppa|ccpa|ferpa|section 230|ai act|first amendment|second amendment|"
        r"criminal code|civil code|"
        r"(?:local|applicable|national|domestic|state|current|relevant|prevailing) (?:and \w+ )?(?:laws?|"
        r"legislation|regulations?|statutes?)|"
        r"jurisdictions?|(?:user|person|human|reader|asker)'s (?:own )?(?:country|state|jurisdiction|"
        r"region)|"
        r"(?:laws?|legal|illegal|lawful) (?:\w+ ){0,2}(?:in|where) (?:the )?(?:user|person|human|reader|asker|"
        r"they|country|place|state))\b"
    ),
    "current events": (
        r"(?:current|recent|latest|today's|breaking|newest|up-to-date) (?:\w+ )?(?:events?|news|affairs|"
        r"developments?|headlines|elections?|research|studies|science|findings|data|statistics|prices?|"
        r"guidelines|information|consensus|president|government)\b|(?:up to date|up-to-date|real[- ]time|"
        r"at the moment of writing|as of (?:today|now|\d{4})|today's date|in the news|the current (?:date|year|"
        r"day|time)|(?:this|last) (?:year|month|week)'s)\b"
    ),
    "facts about the user": (
        r"(?:the |each |every |this )?(?:user|person|human|asker|reader|customer)'s (?:\w+ )?(?:age|location|"
        r"address|gender|sex|religion|nationality|ethnicity|race|occupation|job|profession|income|education|"
        r"level of education|medical history|health records?|diagnosis|political (?:views|leanings?|affiliation)|"
        r"sexual orientation|marital status|account|profile|purchase history|history|past|subscription|"
        r"credit score|identity|name|first language|mother tongue)\b|where the (?:user|person|human|"
        r"asker) lives\b|(?:previous|earlier|past|other) (?:conversations|sessions|chats|orders)\b|"
        r"who the (?:user|person|human|asker) (?:really )?is\b"
    ),
    "a document that the model is not shown": (
        r"(?:our|the company's|company|the platform's|the organi[sz]ation's|the provider's|corporate|internal|"
        r"house|the operator's) (?:\w+ )?(?:polic(?:y|ies)|guidelines?|terms(?: of (?:service|use))?|handbook|"
        r"code of conduct|style ?guide|values|standards|rules)\b|(?:terms of service|terms of use|"
        r"community guidelines|acceptable use policy|usage polic(?:y|ies))\b|(?:as (?:described|defined|"
        r"listed) in|according to) (?:the|our) (?:\w+ )?(?:handbook|manual|appendix|annex|policy|guidelines?|"
        r"document)\b"
    ),
    "a source to look things up in": (
        r"(?:verif(?:y|ied|ies|ying)|check(?:s|ed|ing)?|look(?:s|ed|ing)?|search(?:es|ed|ing)?|fact-check(?:s|"
        r"ed|ing)?|confirm(?:s|ed|ing)?|consult(?:s|ed|ing)?)\b"
        r"[^.?!;]{0,40}?\b(?:online|on the (?:internet|web)|the (?:internet|web)|(?:reliable|official|"
        r"independent|external|trusted|primary|outside|published) (?:\w+ )?sources?|"
        r"databases?|search engines?|wikipedia|the literature|the (?:original|cited|full) (?:source|paper|"
        r"article|study))\b"
    ),
}
_OUTSIDE = re.compile(rf"\b(?:{'|'.join(f'({pattern})' for pattern in _NEEDS.values())})")
_KINDS = tuple(_NEEDS)
_GIVEN = re.compile(
    r"\b(?:regardless of|whatever|irrespective of|no matter|independent(?:ly)? of|assum\w+|guess\w*|infer\w*|"
    r"reveal\w*|disclos\w*|expos\w*|(?:reports?|claims?|statements?) (?:on|about|of)|look(?:s|ing)? for|ask(?:s|"
    r"ing)? (?:for|about)|store|stores|collect\w*|leak\w*|protect\w*|respect\w*|share|shares|stated|mentioned|given|"
    r"apparent|discriminat\w*|because of|based on stereotypes)\b"
)
_STATED = re.compile(
    r"[^.?!;]{0,30}\b(?:is|are|was|has been|as|if) (?:\w+ )?(?:stated|mentioned|given|known from|told|clear from|"
    r"evident)\b"
)


def _specific(subject: Subject) -> Iterator[Hit]:
    for wording in subject.wordings():
        found = next(particulars(wording.text), None)
        if found:
            kind, words = found
            message = f"the {wording.field} is about one particular {kind}: '{shorten(words)}'"
            yield Hit(wording.keys, message, (wording.principle.id,))


def particulars(text: Text) -> Iterator[tuple[str, str]]:
    """Dates, figures, products, persons and quoted requests, each with its kind."""
    for match in text.find(_DATE) if text.has(_DIGIT) or text.has(_MONTH_OR_DAY) else ():
        yield "date", match.group()
    for match in (*text.find(_FIGURE), *text.find(_COUNTED)):
        if not _label(text, match):
            yield "figure", match.group()
    for match in _NAME.finditer(text.unquoted):
        example = _EXAMPLE.search(text.low[max(0, match.start() - 90) : match.start()])
        if not example and not _DOCUMENT.match(text.unquoted, match.start()):
            yield match.lastgroup or "", match.group()
    for match in _REQUEST.finditer(text.raw.lower()) if text.raw != text.unquoted else ():
        yield "request", text.raw[match.start() : match.end() + 30]


def _label(text: Text, match: re.Match[str]) -> bool:
    """Is it a number that names something (criterion 1), a list's number, or an age that laws use?"""
    before = text.low[max(0, match.start() - 40) : match.start()]
    number = match.group().strip(".,")
    if not number[0].isdigit():
        return False
    listed = (not before.strip() or before.rstrip(" ").endswith("\n")) and match.group().endswith(".")
    adult = number in _ADULT and (_AGE.search(before) or "year" in text.low[match.end() : match.end() + 8])
    return bool(listed or adult or (_LABEL.search(before) and not _AGE.search(before)))


def _outside(subject: Subject) -> Iterator[Hit]:
    for wording in subject.wordings():
        found = next(outside(wording.text), None)
        if found:
            kind, words = found
            message = f"the {wording.field} needs {kind}, which no prompt contains: '{shorten(words)}'"
            yield Hit(wording.keys, message, (wording.principle.id,))


def outside(text: Text) -> Iterator[tuple[str, str]]:
    """What the text needs that a prompt does not contain, with its kind."""
    for match in text.find(_OUTSIDE):
        near = text.low[max(0, match.start() - 60) : match.start()]
        if not (text.negated(match.start()) or _GIVEN.search(near) or _STATED.match(text.low, match.end())):
            yield _KINDS[(match.lastindex or 1) - 1], match.group()


SPECIFIC = Rule(
    code="CC102",
    name="overly-specific",
    severity="warning",
    what="A principle names one product, company, person, date, figure or request, so that it is about one case alone.",
    fires="Any wording, outside quotes, names a date, a year or a weekday; a figure in digits, or a number word of "
    "three or more "
    "before a unit of text or time (*in five sentences*); a product, a company or a web site; or a person. It also "
    "fires on a "
    'condition that quotes one exact request (*When the user writes "I feel sad", ...*).',
    spares="Names given as examples of a kind, after *like*, *such as*, *for example* or *including*; published "
    "declarations and conventions (*Universal Declaration of Human Rights*); numbers that only label something "
    "(*criterion 1*, *article 12*, a list's *1.*); ages that laws use, from 12 to 21 (*under 18*); *one* and *two*; "
    "and everything in quotes. Naming a kind of harm or of request (*fraud*, *medical questions*) is not too "
    "specific.",
    why="A principle is drawn for prompts of every kind. One about a single case finds nothing in almost all of "
    "them, and the draw is wasted; or the model forces the case on prompts that have nothing to do with it.",
    cure="say what kind of thing is meant: 'a public figure', 'briefly', 'a competing product'",
    source="Kundu et al. 2023, Specific versus General Principles for Constitutional AI (arXiv 2310.13798): general "
    "principles carry far, and specific ones give control over kinds of harm",
    example_bad="""\
name: example
principles:
  - id: brevity
    comparison: Which answer is clearer, and has at most 50 words?
""",
    example_good="""\
name: example
principles:
  - id: brevity
    comparison: Which answer is clearer in fewer words?
""",
    check=_specific,
)

OUTSIDE = Rule(
    code="CC103",
    name="needs-outside-facts",
    severity="warning",
    what="A principle can only be applied with knowledge that stands in no prompt: a country's law, the news, facts "
    "about the user.",
    fires="Any wording, outside quotes, makes the judgement depend on the law of a place (*under German law*, "
    "*GDPR*, *local laws*, *jurisdiction*), on current events or recent data (*the latest research*, *up to date*), "
    "on facts about the user that were not given (*the user's age*, *previous conversations*), on a document that is "
    "not shown (*our company policy*, *terms of service*), or on looking something up (*verify it online*, *check "
    "official sources*).",
    spares="Law and crime in general (*illegal*, *break the law*, *human rights*); judging truth by what is commonly "
    "known; facts that the wording takes from the conversation (*if the user's age is stated*) or asks to leave "
    "aside, protect, not to guess, or to look for as a fault (*whatever the user's religion*, *do not assume the "
    "person's gender*); and what is negated or quoted.",
    why="The model sees the conversation and the principle. What it must guess it will guess differently each time, "
    "confidently, and the labels then measure its guesses.",
    cure="judge by what the conversation shows, or state the fact in the principle",
    source="Bai et al. 2022, Constitutional AI (arXiv 2212.08073), sections 3.1 and 4.1: what a model is shown is "
    "the conversation and one principle; Huang et al. 2024, Collective Constitutional AI (arXiv 2406.07814), on "
    "turning public statements into principles that a model can apply",
    example_bad="""\
name: example
principles:
  - id: law
    comparison: Which answer complies better with German law?
""",
    example_good="""\
name: example
principles:
  - id: law
    comparison: Which answer is of less help to someone who wants to break the law?
""",
    check=_outside,
)

RULES = (SPECIFIC, OUTSIDE)
