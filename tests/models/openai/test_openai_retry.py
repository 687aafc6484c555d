from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import orjson
import pytest

from charter.models.openai import retry
from charter.models.openai.retry import backoff, judge, retry_after

HTML = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"
TOO_LONG = [
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
    "You passed 1015 input tokens and requested 10 output tokens. However, the model's context length is only 1024",
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "the request exceeds the available context size. try increasing the context size or enable context shift",
    "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 20 `max_new_tokens`",
    "input length exceeds the context length",
    "prompt is too long: 208310 tokens > 200000 maximum",
    "The input token count (40000) exceeds the maximum number of tokens allowed (32768).",
    "Requested tokens exceed context window of 512",
]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"choices": []}, "ok"),
        (200, {"error": None, "choices": []}, "ok"),
        (200, HTML, "again"),
        (200, b"", "again"),
        (200, b'{"choices": [', "again"),
        (200, b"[]", "again"),
        (200, {"error": {"message": "the engine died"}}, "again"),
        (200, {"error": {"message": "too busy", "code": 503}}, "overload"),
        (200, {"object": "error", "message": "no such model", "code": 404}, "stop"),
        (200, {"error": {"message": TOO_LONG[0], "code": 400}}, "too_long"),
        (400, {"error": {"message": "top_k must be an integer"}}, "refused"),
        (401, {"error": {"message": "who are you"}}, "stop"),
        (403, b"", "stop"),
        (404, {"detail": "Not Found"}, "stop"),
        (408, b"", "again"),
        (409, b"", "again"),
        (413, HTML, "too_long"),
        (422, {"error": {"message": "temperature must be positive"}}, "refused"),
        (429, {"error": {"message": "Rate limit reached"}}, "overload"),
        (429, {"error": {"message": "no", "code": "insufficient_quota"}}, "stop"),
        (500, b"", "again"),
        (502, HTML, "again"),
        (503, HTML, "overload"),
        (302, b"", "stop"),
        *((400, {"error": {"message": text}}, "too_long") for text in TOO_LONG),
        *((400, {"object": "error", "message": text, "code": 400}, "too_long") for text in TOO_LONG),
        (500, {"error": {"message": TOO_LONG[4], "type": "exceed_context_size_error"}}, "too_long"),
    ],
)
def test_what_an_answer_means(status: int, body: Any, kind: str) -> None:
    outcome = judge(status, {}, body if isinstance(body, bytes) else orjson.dumps(body))
    assert outcome.kind == kind
    assert outcome.passes == (kind in ("again", "overload"))
    assert (outcome.data is None) == (kind != "ok")


def test_messages_are_short_and_on_one_line() -> None:
    outcome = judge(500, {}, b"a\n\n  b " * 10_000)
    assert len(outcome.message) < 400
    assert "\n" not in outcome.message
    assert judge(400, {}, b'{"error": {"message": "no seed", "code": "bad"}}').message == "answered 400: no seed (bad)"
    assert judge(400, {}, b'{"detail": [{"msg": "field required"}]}').message.startswith("answered 400: ")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("3", 3.0),
        ("0.25", 0.25),
        ("-4", 0.0),
        ("1e9", retry.LONGEST_ASKED),
        ("nan", None),
        ("soon", None),
        (formatdate(1_000_030, usegmt=True), 30.0),
        (formatdate(999_000, usegmt=True), 0.0),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, 1_000_000.0) == seconds


def test_the_header_is_read() -> None:
    assert judge(429, {"Retry-After": "7"}, b"{}").wait == 7.0
    date = formatdate(time.time() + 60, usegmt=True)
    assert judge(503, {"Retry-After": date}, b"").wait == pytest.approx(60, abs=3)


def test_waits_have_full_jitter_and_grow_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BASE", 0.5)
    for attempt in range(12):
        most = min(retry.LONGEST, 0.5 * 2**attempt)
        waits = [backoff(attempt, None) for _ in range(400)]
        assert 0 <= min(waits) < 0.1 * most
        assert 0.9 * most < max(waits) <= most
    assert all(7 <= backoff(0, 7.0) <= 7.5 for _ in range(100))
