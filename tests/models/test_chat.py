from __future__ import annotations

import pytest

from charter.core.errors import InputError, WorkError
from charter.core.records import Message, assistant, user
from charter.models.chat import decode_answer, encode_answer, encode_chat, encode_options
from models.tiny import EOS, TEMPLATE, WORDS, tokenizer

MESSAGES = (user("how do i open the lock"),)


def words(ids: list[int]) -> str:
    return " ".join(tokenizer().convert_ids_to_tokens(ids))


def test_a_prompt_is_the_template_and_the_answer_ends() -> None:
    prompt, answer = encode_answer(tokenizer(), MESSAGES, "the key")
    assert words(prompt) == "<user> how do i open the lock <assistant>"
    assert words(answer) == "the key <eos>"
    assert prompt == encode_chat(tokenizer(), MESSAGES, add_generation_prompt=True)


def test_training_sees_what_sampling_saw() -> None:
    """With a template that closes turns with the end token, the whole conversation's template is prompt + answer."""
    prompt, answer = encode_answer(tokenizer(), MESSAGES, "the key")
    whole = encode_chat(tokenizer(), (*MESSAGES, assistant("the key")), add_generation_prompt=False)
    assert prompt + answer == whole


def test_a_template_that_rewrites_past_turns_does_not_change_the_answer() -> None:
    odd = tokenizer(chat_template=TEMPLATE.replace("{{ m.content }}", "{{ m.content | replace('bad', 'good') }}"))
    _, answer = encode_answer(odd, MESSAGES, "bad cake")
    assert words(answer) == "bad cake <eos>"


def test_answers_come_back() -> None:
    _, answer = encode_answer(tokenizer(), MESSAGES, "the key is: bad")
    assert decode_answer(tokenizer(), answer) == decode_answer(tokenizer(), answer[:-1]) == "the key is: bad"
    assert decode_answer(tokenizer(), [EOS]) == ""


def test_a_conversation_that_the_template_refuses() -> None:
    with pytest.raises(InputError, match="no system turns"):
        encode_chat(tokenizer(), (Message("system", "good"), *MESSAGES), add_generation_prompt=True)


@pytest.mark.parametrize(
    ("options", "shared", "apart"),
    [
        (("(A)", "(B)"), "<assistant>", "(A) (B)"),
        (("( A )", "( B )"), "<assistant> (", "A B"),
        (("yes", "no", "bad"), "<assistant>", "yes no bad"),
    ],
)
def test_options_are_told_apart_by_one_token(options: tuple[str, ...], shared: str, apart: str) -> None:
    ids, first = encode_options(tokenizer(), MESSAGES, options)
    assert words(ids) == f"<user> how do i open the lock {shared}"
    assert words(first) == apart


@pytest.mark.parametrize("options", [("yes", "yes"), ("yes", "yes good"), ("unheard", "unknown"), ("yes", "no", "no")])
def test_options_that_one_token_cannot_tell_apart(options: tuple[str, ...]) -> None:
    assert "unheard" not in WORDS
    with pytest.raises(WorkError, match="apart by one token"):
        encode_options(tokenizer(), MESSAGES, options)
