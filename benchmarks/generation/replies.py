"""What the simulated model says: texts that depend on the messages and the seed alone, so that the results of an
interrupted run can be compared with those of one that was not. Tokens are words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random
from statistics import NormalDist
from typing import Any

import orjson

from benchmarks.generation.options import Options

_SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
_draw = Random(0)
_WORDS = ["".join(_draw.choices(_SYLLABLES, k=_draw.randint(1, 3))) for _ in range(1 << 16)]
_NORMAL = NormalDist()
_NONE: dict[str, Any] = {}


@dataclass(slots=True)
class Ask:
    """One request, as the server understands it. `key` stands for what decides the text."""

    chat: bool
    prompt: str
    key: bytes
    prompt_tokens: int
    max_tokens: int | None
    n: int
    stop: tuple[str, ...]
    logprobs: int | None  # how many alternatives; None: no log-probabilities
    texts: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)


def ask(body: dict[str, Any], chat: bool, options: Options, number: int) -> Ask:
    """Read a request body. `number` is what a request gets for a seed that has none. Raises ValueError or TypeError
    for a body that cannot be served."""
    ignored = options.ignore
    seed = None if "seed" in ignored else body.get("seed")
    if seed is None and body.get("temperature") != 0:
        seed = f"{options.seed}/{number}"
    prompt = _rendered(body, options.continue_turns) if chat else _text(body["prompt"])
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    if limit is not None and not (isinstance(limit, int) and limit > 0):
        raise ValueError("max_tokens is a whole number from 1")
    stop = body.get("stop") or ()
    return Ask(
        chat,
        prompt,
        blake2b(f"{seed} {prompt}".encode(errors="surrogatepass"), digest_size=16).digest(),
        prompt.count(" ") + prompt.count("\n") + 1,
        limit,
        1 if "n" in ignored else int(body.get("n") or 1),
        () if "stop" in ignored else (stop,) if isinstance(stop, str) else tuple(stop),
        None if "logprobs" in ignored else _alternatives(body, chat),
    )


def _alternatives(body: dict[str, Any], chat: bool) -> int | None:
    if not chat:
        return body.get("logprobs")
    return (body.get("top_logprobs") or 0) if body.get("logprobs") else None


def _rendered(body: dict[str, Any], continues: bool) -> str:
    """The conversation as the model reads it, up to its own turn, which may have been begun for it."""
    messages: list[dict[str, Any]] = body["messages"]
    begun = continues and body.get("continue_final_message") and messages[-1]["role"] == "assistant"
    turns = messages[:-1] if begun else messages
    read = "".join(f"{message['role']}\n{_text(message['content'])} <end>\n" for message in turns)
    return f"{read}assistant\n{_text(messages[-1]['content']) if begun else ''}"


def _text(content: Any) -> str:
    if isinstance(content, list):  # parts
        return "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise TypeError("a text was expected")
    return content


def write(asked: Ask, options: Options) -> int:
    """Write the answers; returns the tokens of the longest."""
    for choice in range(asked.n):
        digest = asked.key if choice == 0 else blake2b(asked.key + choice.to_bytes(4, "big"), digest_size=16).digest()
        wanted = _length(digest, options)
        tokens = wanted if asked.max_tokens is None else min(wanted, asked.max_tokens)
        asked.tokens.append(tokens)
        asked.texts.append(_words(digest, tokens))
    return max(asked.tokens)


def _length(digest: bytes, options: Options) -> int:
    """Log-normal with the mean `options.tokens`."""
    if not options.sigma:
        return max(1, round(options.tokens))
    uniform = (int.from_bytes(digest[:6], "big") + 0.5) / (1 << 48)
    log = math.log(options.tokens) - options.sigma**2 / 2 + options.sigma * _NORMAL.inv_cdf(uniform)
    return max(1, round(math.exp(log)))


def _words(digest: bytes, count: int) -> str:
    """So many words: the first says which text it is, the rest are a stretch of a fixed text."""
    start = int.from_bytes(digest[6:8], "big")
    words = [digest[8:13].hex(), *_WORDS[start : start + count - 1]]
    while len(words) < count:
        words += _WORDS[: count - len(words)]
    return " ".join(words)


def render(asked: Ask, options: Options, cached_tokens: int, logprobs: str = "") -> bytes:
    """The reply's JSON. `logprobs` is the fault: "" none, "no_logprobs" or "short_logprobs"."""
    choices = [_choice(asked, i, options, logprobs) for i in range(asked.n)]
    spent = sum(asked.tokens)
    usage: dict[str, Any] = {
        "prompt_tokens": asked.prompt_tokens,
        "completion_tokens": spent,
        "total_tokens": asked.prompt_tokens + spent,
        "prompt_tokens_details": {"cached_tokens": cached_tokens},
    }
    if options.think:
        usage["completion_tokens_details"] = {"reasoning_tokens": 0 if asked.max_tokens == 1 else spent // 2}
    return orjson.dumps(
        {
            "id": f"cmpl-{asked.key.hex()}",
            "object": "chat.completion" if asked.chat else "text_completion",
            "created": 0,
            "model": options.model,
            "choices": choices,
            "usage": usage,
        }
    )


def _choice(asked: Ask, i: int, options: Options, fault: str) -> dict[str, Any]:
    text, tokens = asked.texts[i], asked.tokens[i]
    finish = "length" if asked.max_tokens == tokens else "stop"
    for stop in asked.stop:
        head, found, _ = text.partition(stop)
        text, finish = (head, "stop") if found else (text, finish)
    logprobs = None
    if asked.logprobs is not None and fault != "no_logprobs":
        alternatives = min(asked.logprobs, 1) if fault == "short_logprobs" else asked.logprobs
        words = text.split(" ")
        first = first_token(asked.key, options, alternatives)
        text = " ".join([str(first[0][0]), *words[1:]])
        logprobs = (_chat_logprobs if asked.chat else _text_logprobs)(first, words[1:])
    choice: dict[str, Any] = {"index": i, "finish_reason": finish, "logprobs": logprobs}
    return choice | ({"message": _message(text, options, tokens)} if asked.chat else {"text": text})


def _message(text: str, options: Options, tokens: int) -> dict[str, Any]:
    """The first half of an answer of more than one token is the thought, where the server shows thoughts."""
    if not options.think or tokens < 2:
        return {"role": "assistant", "content": text}
    words = text.split(" ")
    thought, answer = " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])
    if options.think == "inline":
        return {"role": "assistant", "content": f"<think>\n{thought}\n</think>\n\n{answer}"}
    return {"role": "assistant", "content": answer, options.think: thought}


def first_token(key: bytes, options: Options, count: int) -> list[tuple[str, float]]:
    """The likeliest first tokens with their log-probabilities: the labels share `mass`, other words the rest. At
    least the one that is said."""
    weights = [1 + byte for byte in key[-len(options.labels) :]] if options.labels else []
    scale = options.mass / max(sum(weights), 1)
    tokens = [(label, scale * weight) for label, weight in zip(options.labels, weights, strict=False)]
    rest = 1 - options.mass if tokens else 1.0
    tokens += [(_WORDS[i], rest / 2 ** (i + 1)) for i in range(max(count - len(tokens), 1))]
    tokens.sort(key=lambda pair: -pair[1])
    return [(token, math.log(max(p, 1e-30))) for token, p in tokens[: max(count, 1)]]


def _chat_logprobs(first: list[tuple[str, float]], rest: list[str]) -> dict[str, Any]:
    top = [{"token": token, "logprob": logprob, "bytes": list(token.encode())} for token, logprob in first]
    others: list[dict[str, Any]] = [
        {"token": f" {word}", "logprob": -1.0, "bytes": None, "top_logprobs": []} for word in rest
    ]
    return {"content": [{**top[0], "top_logprobs": top}, *others]}


def _text_logprobs(first: list[tuple[str, float]], rest: list[str]) -> dict[str, Any]:
    tokens = [first[0][0], *(f" {word}" for word in rest)]
    offsets, at = [], 0
    for token in tokens:
        offsets.append(at)
        at += len(token)
    return {
        "tokens": tokens,
        "token_logprobs": [first[0][1], *[-1.0] * len(rest)],
        "top_logprobs": [dict(first), *[{t: -1.0} for t in tokens[1:]]],
        "text_offset": offsets,
    }
