"""The words by which the filters know a fault, in English, German, French, Spanish and Chinese, and those by which a
user asks for the very thing that would be one."""

from __future__ import annotations

import re

_FLAGS = re.IGNORECASE | re.MULTILINE


def _any(*patterns: str, before: str = "") -> re.Pattern[str]:
    """One of the patterns, behind `before`."""
    return re.compile(before + "(?:" + "|".join(patterns) + ")", _FLAGS)


# what is not read: code, and what others are quoted with
CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
QUOTED = re.compile(r'"[^"\n]{1,300}"|“[^”\n]{1,300}”|„[^“”\n]{1,300}[“”]|«[^»\n]{1,300}»|「[^」\n]{1,300}」')

# the user's turn -----------------------------------------------------------------------------------------------------

# `Human:` is a turn wherever a line begins with it. The others are words that lists and forms have, too: they need an
# empty line before them and a sentence after them.
_NAMES = r"User|Mensch|Benutzer|Nutzer|Humain|Utilisateur|Humano|Usuario"
TURN = _any(
    r"<\|(?:im_start\|>\s*)?(?:user|human|start_header_id)",
    r"\[/?INST\]",
    r"<start_of_turn>",
    r"^#{2,3} ?(?:Human|User|Instruction):",
    r"^[*_]*Human[*_]*:[*_]*[ \n]",
    rf"(?:\A|\n[ \t]*\n)[*_]*(?:{_NAMES})[*_]*\s?:[*_]*(?:[ \t]+\S+){{3}}",
    r"^(?:人类|用户)[：:]",
    r"\A\s*[*_]*(?:Assistant|AI|Assistent|Asistente|助手)[*_]*\s?[:：]",
)
WANTS_DIALOGUE = _any(
    r"dialog|conversation|transcript|script|scene|chat log|role.?play|interview|screenplay|Human:|User:",
    r"Gespräch|Unterhaltung|conversaci[oó]n|diálogo|对话|剧本|采访",
)

# the revising --------------------------------------------------------------------------------------------------------

_OPENING = r"^[ \t]*[*_#>\- ]*(?:(?:Sure|Certainly|Of course|Okay|OK|Absolutely|Understood|Yes|Alright)[^\n\w]{1,3})?"
_REVISED = r"(?:revised|rewritten|reworded|rephrased|improved|updated|edited|modified|corrected|amended|better|safer)"
_ANSWER = r"(?:response|answer|reply|version|message|text|revision)"
_HERE = r"(?:here(?:'s| is|’s)|below is|this is|the following is)"
_REVISED_DE = r"(?:überarbeitete|umformulierte|verbesserte|korrigierte|geänderte|neue)"
_REVISED_FR = r"(?:révisée|réécrite|corrigée|améliorée|reformulée|modifiée)"
_REVISED_ES = r"(?:revisada|reescrita|corregida|mejorada|modificada|reformulada)"
_REVISED_ZH = r"(?:修改|修订|改写|重写|修正|改进|更新)"
_ANSWER_ZH = r"(?:回答|回复|答案|版本|回应)"
ANNOUNCED = _any(
    rf"{_HERE} (?:(?:an?|the|my|one|your) )?(?:\w+ ){{0,2}}?{_REVISED}(?: [\w-]+){{0,2}}? {_ANSWER}\b",
    r"here(?:'s| is|’s) (?:(?:a|the|my|one) )?(?:possible |suggested |final )?(?:revision|rewrite)\b",
    rf"I(?:'ve| have|’ve) {_REVISED} (?:the|my|this|that) (?:\w+ ){{0,2}}{_ANSWER}\b",
    rf"(?:in|with) (?:this|the) {_REVISED} {_ANSWER}\b",
    rf"this (?:revision|{_REVISED} {_ANSWER}) (?:removes|avoids|is|does|no longer|now)\b",
    rf"hier ist (?:die|eine|meine) (?:\w+ )?(?:{_REVISED_DE} (?:antwort|version|fassung)|überarbeitung)\b",
    rf"voici (?:la|une|ma) (?:(?:réponse|version) {_REVISED_FR}|révision)\b",
    rf"(?:aquí (?:está|tienes|tiene)|esta es) (?:la|una|mi) (?:(?:respuesta|versión) {_REVISED_ES}|revisión)\b",
    rf"(?:以下|下面|这)(?:就?是|为)(?:经过?)?我?{_REVISED_ZH}[过后版的]*{_ANSWER_ZH}",
    before=_OPENING,
)
AN_ANSWER = _any("respon", "answer", "reply", "antwort", "réponse", "respuesta", "回答", "回复", "答案", "回应")
_LABELS = (
    rf"(?:(?:final|updated) )?revision|{_REVISED} (?:response|answer|reply|version)|critique",
    rf"{_REVISED_DE} (?:antwort|version)|überarbeitung|kritik",
    rf"(?:réponse|version) {_REVISED_FR}|révision",
    rf"(?:respuesta|versión) {_REVISED_ES}|revisión|crítica",
    rf"{_REVISED_ZH}[后的]*{_ANSWER_ZH}|修订版?|批评|评论",
)
LABEL = re.compile(
    rf"(?:\A\s*|\n[ \t]*\n[ \t]*)[*_#> ]*(?:{'|'.join(_LABELS)})[*_ ]*(?:\(\w+\))?[ *_]*[:：]", re.IGNORECASE
)
REQUEST = _any(r"\b(?:Critique|Revision) ?Request[*_]*:")
WANTS_REWRITING = _any(
    r"\b(?:re-?writ|rewrote|revis|rephras|reword|paraphras|edit|proofread|improv|correct|polish|critique|feedback)",
    r"\b(?:shorten|summar|translat|draft|version|review|essay)",
    r"überarbeit|umschreib|umformulier|verbesser|korrigier|kritik",
    r"réécri|reformul|corrig|amélior|critiqu|reescrib|mejora|crítica|correg",
    r"修改|改写|润色|修订|重写|改进|翻译|批评|评论",
)

# judging an answer ---------------------------------------------------------------------------------------------------

_WRONG = (
    r"(?:harm|unethical|toxic|inappropriate|offensive|racis|sexis|dangerous|illegal|evasive|biased|discriminat"
    r"|problematic|insensitive|disrespectful|stereotyp|misogyn|condescend|preachy)"
)
_DOES = (
    r"(?:encourag|promot|contain|fail|provid|helps|impl|suggest|declin|refus|assum|perpetuat|endors|condon|normali[sz]"
    r"|ignores|lacks|reinforc|(?:could|may|can) be (?:seen|considered|interpreted|construed)|should (?:have|not|be)"
    r"|does not (?:address|acknowledge|consider|contain|encourage|promote))"
)
_LAST = r"(?:last|previous|above|original|initial|earlier)"
_STARTS = r"(?:\A|[.!?]\s+|\n)"
_WRONG_DE = r"(?:schädlich|gefährlich|unethisch|rassis|unangemessen|beleidig)"
_WRONG_FR = r"(?:nuisible|dangereu|contraire à l|inappropri|raciste|offensant)"
_WRONG_ES = r"(?:dañin|peligros|inapropiad|poco étic|racista|ofensiv)"
JUDGES = _any(
    rf"\b(?:assistant|AI|chatbot|model)['’]s (?:{_LAST} |most recent )?(?:response|answer|reply|advice|suggestion)\b",
    rf"{_STARTS}(?:i think )?(?:the|this|my|your) {_LAST} (?:response|answer|reply)\b",
    rf"{_STARTS}(?:the|this|that) (?:response|reply)(?: \w+){{0,4}}? (?:{_WRONG}|{_DOES})",
    rf"{_STARTS}(?:the|this|that) answer(?: (?:is|was|seems|appears))?(?: \w+){{0,2}}? (?:{_WRONG}|{_DOES})",
    rf"{_STARTS}the assistant (?:{_DOES}|respond|answer|gave|gives|is being|was being|said|did not|didn['’]t|should)",
    r"\A(?:again, |overall, |i think |nothing \w+\. )?(?:the|this) assistant (?:\w+ly )?"
    r"(?:gave|took|did|had|could|would|may|might|\w\w+(?:s|ed))\b(?! of\b)",
    rf"\A(?:i think )?this (?:{_LAST} )?(?:response|reply) (?:is|was|appears|seems|does|did|could|would|may|might)\b",
    r"\A(?:i find|there is|there are|i see|i do not find|i don['’]t find) (?:no|any)(?: \w+){1,3} in the"
    r" (?:answer|response|reply)\b",
    rf"\b(?:die|diese) (?:letzte |vorige )?antwort (?:des assistenten|(?:ist|enthält) (?:\w+ )?{_WRONG_DE})",
    r"\bder assistent (?:hätte|hat|sollte|gibt|fördert|ermutigt|antwortet)",
    rf"\bla (?:dernière )?réponse (?:de l['’]assistant|précédente|est (?:\w+ )?{_WRONG_FR}|encourage|incite)",
    r"\bl['’]assistant (?:aurait|devrait|fournit|encourage|a (?:donné|répondu))",
    rf"\bla (?:última )?respuesta (?:del asistente|anterior|es (?:\w+ )?{_WRONG_ES}|fomenta|promueve|incita)",
    r"\bel asistente (?:debería|proporciona|fomenta|ha|dio|respondió)",
    rf"(?:助手|助理|上一个|上述|之前)的?{_ANSWER_ZH}|[该此]{_ANSWER_ZH}(?:是|存在|包含|可能|没有|不|鼓励|提供|有害)",
)
NAMES_OF_ANSWERS = (
    *("response", "answer", "reply", "assistant", "advice", "suggestion"),
    *(
        "antwort",
        "assistent",
        "réponse",
        "respuesta",
        "asistente",
        "助手",
        "助理",
        "回答",
        "回复",
        "回应",
        "答案",
        "版本",
    ),
)
"""Without one of them nothing is judged."""
WANTS_JUDGEMENT = _any(
    r"\b(?:response|answer|reply|assistant|chatbot|critique|review|evaluate|grade|judge|feedback|assess|AI)s?\b",
    r"\breplies\b|antwort|assistent|réponse|respuesta|asistente|回答|回复|助手|助理|评价|评估",
)

# repetition ----------------------------------------------------------------------------------------------------------

_CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
UNIT = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")
"""A word, or a character where words are not set apart."""
WANTS_REPETITION = _any(
    r"\brepeat|\btimes\b|lyrics|chant|mantra|wiederhol|répét|répèt|\brepit|\brepet|重复|歌词",
)
