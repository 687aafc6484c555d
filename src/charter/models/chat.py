"""The one place where conversations become token ids, for sampling, training and scoring alike, and answers become
text.

A prompt is the tokenizer's own chat template of the messages with the generation prompt. An answer is encoded apart
and appended, with the end-of-sequence token: this is what the model meets when it samples, token by token, and it
holds with every template. The template of the whole conversation is not used for the answer, because templates may
change past turns (drop their reasoning, trim them, add a line break after the end token), and a tokenizer may merge
tokens across the border."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from charter.core.errors import InputError, WorkError
from charter.core.records import Message


def render_chat(tokenizer: Any, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
    """The chat template's text. Raises InputError where the template refuses the conversation."""
    from jinja2 import TemplateError  # late: only where templates are used

    turns = [{"role": message.role, "content": message.content} for message in messages]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=add_generation_prompt)
    except TemplateError as error:
        raise InputError(
            f"the chat template refuses a conversation of the roles {[m.role for m in messages]}: {error}",
            where=getattr(tokenizer, "name_or_path", None) or None,
            cure="use a tokenizer whose template takes these roles, or change the prompts",
        ) from error
    return str(text)


def encode_text(tokenizer: Any, text: str) -> list[int]:
    """The ids of `text` with nothing added: a template writes its special tokens itself."""
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def encode_chat(tokenizer: Any, messages: Sequence[Message], *, add_generation_prompt: bool) -> list[int]:
    """The ids of a conversation; with the generation prompt, the assistant's turn comes next."""
    return encode_text(tokenizer, render_chat(tokenizer, messages, add_generation_prompt=add_generation_prompt))


def encode_answer(tokenizer: Any, messages: Sequence[Message], answer: str) -> tuple[list[int], list[int]]:
    """The ids of the prompt (with the generation prompt) and of the answer (with the end-of-sequence token). Their
    concatenation is what training and scoring read."""
    prompt_ids = encode_chat(tokenizer, messages, add_generation_prompt=True)
    return prompt_ids, [*encode_text(tokenizer, answer), tokenizer.eos_token_id]


def decode_answer(tokenizer: Any, tokens: Sequence[int]) -> str:
    """The text of an answer: without special tokens (the end among them) and without white space around it."""
    text: str = tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text.strip()


def encode_options(tokenizer: Any, messages: Sequence[Message], options: Sequence[str]) -> tuple[list[int], list[int]]:
    """For a choice: the ids that all options share (the prompt and the options' common beginning) and, for each
    option, the token that tells it apart. Prompt and option are tokenised together, as merges may cross the border.

    Raises WorkError where two options have the same token there, or one ends where another goes on."""
    context = render_chat(tokenizer, messages, add_generation_prompt=True)
    encoded = [encode_text(tokenizer, context + option) for option in options]
    shared = 0
    while all(len(ids) > shared and ids[shared] == encoded[0][shared] for ids in encoded):
        shared += 1
    first = [ids[shared] for ids in encoded if len(ids) > shared]
    if len(set(first)) < len(options) or not shared:
        raise WorkError(
            f"the tokenizer does not tell the options {list(options)} apart by one token",
            where=getattr(tokenizer, "name_or_path", None) or None,
            cure="use a tokenizer that has a token for each option's letter",
        )
    return encoded[0][:shared], first
