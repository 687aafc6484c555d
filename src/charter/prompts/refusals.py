"""The refusals that models are trained to give, told apart from a decline that says something.

A canned refusal is made of nothing but canned sentences: sorry, cannot help with that, as an AI, anything else? The
sentences are matched whole and in their usual spelling, so that one word of reason, or an offer of something else,
makes it an answer. Notices of content filters are matched where they stand.
"""

from __future__ import annotations

import re

LONGEST = 600
"""Canned refusals are short: in characters."""

_SORRY = r"(?:(?:I(?:'m| am)(?: \w+)? sorry|Sorry|I apologi[sz]e|My apologies|Unfortunately)(?:[,;]? but|[,;:])? )?"
_AS_AN_AI = r"(?:[Aa]s an? (?:AI|artificial intelligence)(?: [\w-]+){0,3}, )?"
_CANNOT = (
    r"I(?: just| simply)?(?: can't| cannot| can not| won't| will not|(?: am|'m) (?:unable|not able) to"
    r"| (?:must|have to) (?:decline|refuse) to|(?: am|'m) not (?:allowed|permitted|programmed) to)"
)
_VERB = (
    r"(?:help|assist|comply|continue|proceed|engage|participate|support|do|discuss|respond|answer|fulfill?|provide"
    r"|create|generate|write|rewrite|revise|process|complete|produce|share|offer|accommodate)"
)
_THAT = (
    r"(?:(?: with| to| in| on)? (?:that|this|it|such|your|the|these|any)(?: (?:type|kind|sort)s? of)?"
    r"(?: (?:request|question|task|prompt|topic|conversation|content|material|instruction|discussion|revision|response"
    r"|inquiry|query|information)s?)?)?"
)
_ILLEGAL = (
    r"(?: any)? (?:information|guidance|instructions|content|assistance|help|advice|material)(?: or \w+)?"
    r" (?:on|about|for|with|that (?:is|promotes|involves|contains))"
    r" (?:illegal|harmful|unethical|inappropriate|explicit|dangerous)(?:,? (?:or|and)? ?\w+)?"
    r"(?: activit\w+| content| behaviou?rs?| material| acts?)?"
)
_NO_REASON = r"(?:(?!because|since|so that|\bbut\b|however|instead).)*"
_RULES = r"(?:goes|is) against my (?:programming|guidelines|policies|policy)"
_CANNED = (
    rf"{_SORRY}{_AS_AN_AI}{_CANNOT} {_VERB}(?: or {_VERB})?(?: you)?(?:{_THAT}|{_ILLEGAL})",
    rf"{_SORRY}[Aa]s an? (?:AI|artificial intelligence)(?: [\w-]+){{0,3}},? (?:I|it) (?!can\b|will\b){_NO_REASON}",
    rf"{_SORRY}(?:[Tt]hat|[Tt]his|[Ii]t|[Yy]our request) {_RULES}",
    rf"I(?:'m| am) (?:programmed|designed|trained) to (?:be|provide|follow|avoid){_NO_REASON}",
)
_BEI_DER = r"(?:dabei|damit|hierbei|bei (?:dieser|deiner|Ihrer) (?:Anfrage|Bitte))"
_GERMAN = (
    r"(?:Es tut mir (?:sehr )?leid|Tut mir leid|Entschuldigung|Leider),? (?:aber |doch )?(?:ich kann|kann ich)"
    rf"(?: (?:dir|Ihnen|euch))?(?: {_BEI_DER}| (?:diese|Ihre|deine) Anfrage)? (?:leider )?nicht"
    r"(?: (?:weiter)?helfen| behilflich sein| beantworten| erfüllen| bearbeiten)?"
)
_FRENCH = (
    r"(?:Je suis (?:vraiment )?désolée?|Désolée?),? (?:mais )?je ne peux pas"
    r" (?:vous aider|t'aider|répondre|traiter|satisfaire)"
    r"(?: (?:avec|à|sur|dans)? ?(?:cela|ça|cette|votre|ce)(?: \w+)?)?"
)
_SPANISH = (
    r"Lo siento(?: mucho)?,? (?:pero )?no puedo (?:ayudar(?:te|le|lo|la)?|responder|cumplir|atender)"
    r"(?: (?:con|a|en)? ?(?:eso|esto|esa|esta|tu|su|ese)(?: \w+)?)?"
)
_CHINESE = (
    r"(?:非常|很)?(?:抱歉|对不起|不好意思)[，,]?\s*(?:但)?(?:作为[^，,]{0,16}[，,]\s*)?我?(?:无法|不能|没办法)"
    r"(?:提供|帮助|协助|满足|回答|完成|处理|为你|为您|就)?(?:[你您]的?|这个?|该|此|这样的|这类|那个?)?"
    r"(?:请求|要求|问题|帮助|内容|忙|信息)?"
)
_FILLERS = (
    r"(?:(?:I(?:'m| am) )?(?:so |very |really )?sorry|I apologi[sz]e|My apologies)(?: (?:about|for) \w+(?: \w+)?)?",
    r"(?:Is there|Do you have|Can I help (?:you )?with|How else can I)\b.*(?:else|other|different).*",
    r"(?:Please )?(?:feel free to|[Ll]et me know|[Dd]on't hesitate)\b.*(?:else|other|different|further|questions).*",
    r"(?:Gibt es|Kann ich)\b.*(?:sonst|anderes|anderem).*",
    r"(?:Y a-t-il|Puis-je|¿?Hay|¿?Puedo)\b.*(?:autre|más|otra|otro|algo).*",
    r"(?:请问)?(?:还有|有)什么(?:其他|别的).*",
)
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*")
_CANNED_RE = re.compile("|".join(f"(?:{pattern})" for pattern in (*_CANNED, _GERMAN, _FRENCH, _SPANISH, _CHINESE)))
_FILLER_RE = re.compile("|".join(f"(?:{pattern})" for pattern in _FILLERS))
_NOTICE = re.compile(
    r"\b(?:was|were|is|been|got) (?:filtered|blocked|flagged|removed|withheld|stopped)\b[^.\n]{0,80}\b(?:polic(?:y|ies)"
    r"|filter(?:s|ing)?|moderation|guidelines|safety system)"
    r"|\bviolat(?:es?|ed|ing) (?:our|the provider's|OpenAI's|Google's|Anthropic's|the)"
    r" (?:\w+ ){0,2}(?:polic(?:y|ies)|guidelines|terms)"
    r"|\bcontent management policy\b|\bfinish_?reason\W+content_filter\b|^\W*(?:content_filter|SAFETY|RECITATION)\W*$"
    r"|^\W*(?:content|response|message) (?:blocked|filtered|removed|withheld)\W*$",
    re.IGNORECASE | re.MULTILINE,
)
_ABOUT_FILTERS = re.compile(r"filter|polic|moderat|flagged|violat|guideline|terms of", re.IGNORECASE)


def is_canned_refusal(text: str) -> bool:
    """Is this nothing but the sentences by which models are trained to refuse, without a reason or an offer?"""
    if len(text) > LONGEST:
        return False
    canned = False
    for sentence in _SENTENCE.findall(text.replace("\u2019", "'").strip().strip('*_"')):
        words = sentence.strip().rstrip(".!?。！？ ")
        if words and _CANNED_RE.fullmatch(words):
            canned = True
        elif words and not _FILLER_RE.fullmatch(words):
            return False
    return canned


def is_filter_notice(text: str, asked: str = "") -> bool:
    """Is this a provider's notice that it has blocked the text? Not where the user `asked` about such things."""
    return len(text) <= LONGEST and _NOTICE.search(text) is not None and not _ABOUT_FILTERS.search(asked)
