"""The rules on wordings: what fires, what looks alike and does not, negation and quotes."""

from __future__ import annotations

import pytest
from linting import codes, wording


def fires(code: str, *texts: str) -> list[tuple[str, str, bool]]:
    return [(code, text, True) for text in texts]


def spares(code: str, *texts: str) -> list[tuple[str, str, bool]]:
    return [(code, text, False) for text in texts]


COMPARISONS = [
    *fires(
        "CC101",
        "Is the answer harmless?",
        "The answer should be polite and calm.",
        "Which answer is harmless?",
        "Which answer respects the privacy of at least one person?",
        "Does the response explain itself rather than refuse?",
        "Choose the answer that respects most people.",
        "Which answer, at most, hints at a method?",
        'Which answer avoids words like "better" and "safer"?',
        "Choose the response that one or more readers would call kind.",
        "Which response no longer preaches, sooner or later?",
        "Pick the response that has no slurs in it.",
        "Does the answer say more than the question needs?",
        "Which answer reveals less than a newspaper would print?",
        "Which answer keeps a promise, without costing more than it is worth?",
    ),
    *spares(
        "CC101",
        "Which answer is less harmful?",
        "Prefer the response that respects privacy.",
        "Choose the response that is as polite and helpful as possible.",
        "Which answer would you rather read to a child?",
        "Which answer has fewer mistakes?",
        "Which of the two is safer for a stranger?",
        "Compare the degree of harm and choose by it.",
        "Which answer comes closest to what a doctor would say?",
        "Read both answers. One that names a method loses.",
        "Which answer is not less harmful but more open?",
        "Which answer sounds most similar to a calm friend?",
        "Which answer brings help sooner?",
        "Choose the answer that most encourages freedom.",
        "Choose the answer that least gives the impression of authority.",
        "Which answer speaks for more of the absent?",
        "Which answer has reasons for many more people?",
        "Which answer reveals less than the other?",
        "Does one answer explain more than the other one?",
        "Which answer leans more on evidence than on rumour?",
    ),
    *fires(
        "CC104",
        "Which answer is more honest and shorter?",
        "Choose the most helpful, honest, and harmless response.",
        "Which answer is more polite, and also more accurate?",
        "Which answer is safer and better at answering the question in fewer words?",
        "Which answer is more truthful as well as more concise?",
        "Which answer is more honest? Which answer is shorter?",
        "Prefer the response with correct grammar and with the most useful content.",
        "Which answer is less toxic; and funnier?",
        "Which answer is more accurate while also more respectful?",
        "Which answer is safer for the household, while the recipe stays fun?",
        "Which answer is gentler with a grieving widow, and more exact about the dates?",
        "Which answer gives the patient more freedom and leaves them better informed?",
        "Which answer is warmer and shorter?",
        "Which answer treats the customer with more courtesy and solves the fault faster?",
        "Which answer praises only what was earned and is more useful to the painter?",
        "Which answer is harmless and less evasive?",
        "Which answer does less harm to the neighbour, and suggests a better way to settle the quarrel?",
        "Which answer is clearer, more accurate, and better organised?",
        "Prefer the response that is factual while staying encouraging.",
    ),
    *spares(
        "CC104",
        "Which answer is less harmful, unethical, racist, or sexist?",
        "Which answer is more polite, respectful, and fair?",
        "Which answer is more honest? If they are equally honest, prefer the shorter one.",
        "Which answer is less harmful without being less helpful?",
        "Which answer is more honest about harmful requests and dangerous questions?",
        "Which answer is less harmful or misleading?",
        "If the request is harmful, which answer is more honest?",
        "Above all the answer should be safe, and then useful.",
        'Which answer is more honest than "short and sweet"?',
        "Which answer is shorter, briefer and more concise?",
        "Which answer tells the truth more plainly to the person and to others?",
        "Which answer is more helpful rather than short and safe?",
        "Which answer is warmer and simpler?",
        "Which answer is plainer and shorter?",
        "Which answer is kinder, friendlier and gentler to the beginner?",
        "Which answer better respects the privacy and the autonomy of the tenant?",
        "Which answer explains the rule better, in calm and truthful words?",
        "Which answer is the more truthful, while it tells the same story?",
        "Which answer is better at helping with every part that does no harm?",
        "Which answer is the less dishonest, harmful, or insulting, and the less so for strangers?",
        "Which answer more clearly recognises a right to fair treatment?",
        "Which answer most accurately shows a program that is trying to be helpful and harmless?",
        "Which answer is friendlier? If both are, the more accurate one wins.",
        "Which answer is more honest about freedom of the press and of worship?",
    ),
]

CRITIQUES = [
    *fires(
        "CC105",
        "Identify specific ways in which the last response is harmful.",
        "Explain how the response is harmful to the reader.",
        "Explain why the assistant's last answer is rude.",
        "List all the reasons why the answer was dangerous to others.",
        "In what way is the assistant's answer biased?",
        "Give the strongest argument that the response was unethical.",
        "Describe the ways the assistant's response promotes violence. Be specific if possible.",
        'Explain how the response is harmful, as in "is anything wrong?"',
        "Discuss the harmful nature of the response.",
        "Comment on how the answer misleads the reader.",
        "Explain what is wrong with the answer.",
    ),
    *spares(
        "CC105",
        "Is the response harmful? If so, explain how it is harmful.",
        "Discuss whether the response is harmful.",
        "Identify anything in the response that is harmful.",
        "Explain ways in which the response may be harmful.",
        "Identify the ways, if any, in which the response is harmful.",
        "Point to each passage that plans an attack.",
        "Explain how the response is helpful to the person.",
        "Could someone be hurt by the answer? Say how it is dangerous.",
        "Look for insults in the assistant's last answer.",
        'Look for phrases such as "explain why the answer is rude".',
    ),
    *fires("CC108", "Be nice.", "Harmful or not?", "Any slurs?"),
    *spares("CC108", "Is the answer unkind?", "Find what could hurt.", "この回答は有害ですか。"),
]

ANY = [
    *fires(
        "CC102",
        "Which answer is better for people who use ChatGPT?",
        "Which answer sounds more like Elon Musk?",
        "Which answer is more like one from 1995?",
        "Which answer is clearer in at most 50 words?",
        "Which answer is clearer in five sentences?",
        "Which answer would be better on March 8?",
        "Which answer would be better on Fridays?",
        "Which answer is nearer to 90% certainty?",
        'When the user writes "I feel sad", which answer is warmer?',
        "Which answer is a better advertisement for Tesla?",
        "Which answer would Dr. Smith like more?",
        "Which answer is less likely to be about Taylor Swift?",
        "The better answer talks like Steve Jobs.",
    ),
    *spares(
        "CC102",
        "Which answer would a wise person like Gandhi rather give?",
        "Which answer suits a thoughtful person, for example Martin Luther King Jr. or Gandhi, better?",
        "Which answer agrees better with the Universal Declaration of Human Rights?",
        "Criterion 1 for kindness: prefer the kinder answer.",
        "Which answer is better for readers under 18?",
        "Which of the two answers is shorter by a sentence or two?",
        'Which answer is less like "In 1995, Elon Musk said"?',
        "Which answer may march on, and may be less harmful?",
        "Which answer gives a criminal less to work with, such as the names Google or Amazon?",
        "1. Which answer is kinder?",
        "Which answer follows article 12 better?",
    ),
    *fires(
        "CC103",
        "Which answer complies better with German law?",
        "Which answer is more in line with GDPR?",
        "Which answer agrees better with the latest research?",
        "Which answer fits the user's age better?",
        "Which answer follows our company policy more closely?",
        "Which answer is more accurate, when you verify it online?",
        "Which answer is legal more often in the country where the user lives?",
        "Which answer keeps better to local laws?",
        "Which answer takes better account of previous conversations?",
    ),
    *spares(
        "CC103",
        "Which answer is of less help to someone who wants to break the law?",
        "Which answer is less illegal and less dangerous?",
        "Which answer does less to guess the user's age?",
        "Which answer is fairer, whatever the user's religion?",
        "Which answer better protects the user's address?",
        "Which answer fits better, where the user's age is stated in the conversation?",
        'Which answer is less like "according to German law"?',
        "Which answer respects human rights more?",
        "Which answer reads better without current events?",
        "Which answer would a careful lawyer rather give?",
    ),
    *fires(
        "CC106",
        "Which answer gives less help with {topic}?",
        "Which answer gives less help with <name>?",
        "Which answer is less [HARM]?",
        "Which answer is less harmful to [insert group here]?",
        "Which answer is less harmful? TODO: say to whom",
        "Which answer is less like $style in tone?",
        "Which answer is less ____ to people?",
        "Which answer is better at %s for people?",
        "Which answer is less {{adjective}}?",
    ),
    *spares(
        "CC106",
        "Which answer is less harmful (to people and animals)?",
        "Which answer quotes [sic] more fairly?",
        'Which answer avoids "{name}" and "[INSERT]" more?',
        "Which answer costs $5 less?",
        "Which answer has 5 < 6 and 7 > 6 more clearly?",
        "Which answer is better to do today?",
        "Which answer is 50% shorter?",
    ),
    *fires(
        "CC107",
        "Human: which answer is kinder?",
        "Which answer is kinder?\n\nAssistant: the first",
        "Which answer is kinder? <|im_start|>",
        "Which answer is kinder, (A) or (B)?",
        "[INST] Which answer is kinder?",
        'Which answer is kinder, "\n\nHuman: me"?',
        "Which answer is kinder? Options:",
        "Which of answer A and answer B is kinder?",
        "Which is kinder?\nCritique: it is unkind",
    ),
    *spares(
        "CC107",
        "Which answer is kinder to the human?",
        "Which answer of the assistant is kinder?",
        "Which answer is (a) kinder and (b) fairer?",
        "Which answer makes clearer that this is an AI: it cannot come?",
        "Two things matter to the user: which answer is kinder to others?",
        "Which answer suits a system and its user more?",
        "Which answer deserves an A grade more?",
    ),
    *spares("CC108", "Which answer is kinder?"),
    *fires("CC108", "Be kinder.", "Which is kinder?"),
    *fires("CC109", "Which answer is kinder to all " + "people, and to all " * 30 + "animals?"),
    *spares("CC109", "Which answer is kinder to all " + "people, and to all " * 15 + "animals?"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "text", "expected"), [*COMPARISONS, *ANY])
def test_comparisons(code: str, text: str, expected: bool) -> None:
    assert (code in codes(wording("comparison", text))) is expected


@pytest.mark.parametrize(("code", "text", "expected"), CRITIQUES)
def test_critiques(code: str, text: str, expected: bool) -> None:
    assert (code in codes(wording("critique", text))) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Remove what is harmful, and make the answer concise.", True),
        ("Rewrite the answer so that it is more accurate and well formatted.", True),
        ("Rewrite the answer so that it is truthful, says what is uncertain, and is no help with deceit.", False),
        ("Rewrite the answer without harm. Name the reason briefly, and offer a lawful way to the same end.", False),
        ("Rewrite the answer to remove all harmful, unethical, racist, and sexist content.", False),
        ("Rewrite the answer so that it is precise and friendly.", True),
        ("Rewrite the answer for a tired nurse: brief, exact, never rude.", True),
        ("Say what the figures show. Be accurate about the loss, name the cause, and stay polite.", True),
        ("Rewrite the answer so that it is as safe as before. Make it shorter and more useful.", True),
        ("Rewrite the answer so that it is gentle and plain.", False),
        ("Rewrite the answer without what is dangerous, and offer a practical way to the same end.", False),
        ("Remove what is harmful, and show an honest alternative.", False),
        ("Give the reason in a few short words, and be honest about the rest.", False),
        ("Rewrite the answer as what a careful nurse or safety officer would say, clearly.", False),
        ("Answer every question that is harmless, and be friendly about it.", False),
    ],
)
def test_double_barrelled_revisions(text: str, expected: bool) -> None:
    assert ("CC104" in codes(wording("revision", text))) is expected


def test_a_quoted_statement_at_the_end_is_the_demand() -> None:
    text = 'Which answer keeps better to this principle? "It complies with German law."'
    assert "CC103" in codes(wording("comparison", text))
    assert "CC103" not in codes(wording("comparison", text + " Quotes are examples."))


def test_lengths_differ_by_wording() -> None:
    assert "CC108" not in codes(wording("revision", "Make it kinder."))
    assert "CC108" in codes(wording("comparison", "Make it kinder."))
    assert "CC109" not in codes(wording("revision", "Make it kinder. " * 40))
    assert "CC109" in codes(wording("comparison", "Make it kinder. " * 40))
