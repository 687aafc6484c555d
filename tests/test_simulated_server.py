"""That the simulated server does what it says, because benchmarks and other tests are read through it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from benchmarks.generation.options import FAULTS, Options
from benchmarks.generation.server import reset, serve, stats

FAST: dict[str, Any] = {"first_token": 0.01, "per_token": 0.0, "tokens": 20.0}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serve(**FAST) as url:
        yield url


@pytest.fixture
def url(server: str) -> str:
    defaults = Options()
    changed = {name: getattr(defaults, name) for name in Options.__slots__} | FAST
    reset(server, **changed)
    return server


def ask(url: str, content: str = "hello", headers: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    body = {"model": "simulated", "messages": [{"role": "user", "content": content}], "seed": 1, **fields}
    answer: dict[str, Any] = json.loads(post(f"{url}/chat/completions", body, headers))
    return answer


def post(url: str, body: dict[str, Any], headers: dict[str, str] | None = None, timeout: float = 10) -> bytes:
    request = urllib.request.Request(url, json.dumps(body).encode(), headers or {})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        data: bytes = answer.read()
        return data


def said(url: str, content: str = "hello", **fields: Any) -> str:
    text: str = ask(url, content, **fields)["choices"][0]["message"]["content"]
    return text


def refusal(url: str, **fields: Any) -> tuple[int, dict[str, Any], Any]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(url, **fields)
    with caught.value as error:
        return error.code, json.loads(error.read())["error"], error.headers


def test_the_text_depends_on_messages_and_seed_alone(url: str) -> None:
    first = said(url)
    assert said(url, "other") != first != said(url, seed=2)
    assert said(url) == first
    assert said(url, seed=None) != said(url, seed=None)
    assert said(url, seed=None, temperature=0) == said(url, seed=None, temperature=0)
    assert stats(url)["repeats"] == 2


def test_usage_counts_words_and_the_limit_cuts(url: str) -> None:
    answer = ask(url, "one two three", max_tokens=3)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert len(answer["choices"][0]["message"]["content"].split()) == answer["usage"]["completion_tokens"] == 3
    assert ask(url, "one two three four")["usage"]["prompt_tokens"] == answer["usage"]["prompt_tokens"] + 1


def test_lengths_have_the_mean_and_the_spread_they_should(url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: ask(url, f"{i}"), range(400)))
    lengths = sorted(answer["usage"]["completion_tokens"] for answer in answers)
    assert 17 < sum(lengths) / 400 < 23
    assert 12 < lengths[200] < 17  # the median of a log-normal with mean 20 and sigma 0.8 is 14.5


def test_stop_and_n(url: str) -> None:
    whole = said(url)
    stop = whole.split()[5]
    assert said(url, stop=[stop]) == whole[: whole.index(stop)]
    texts = [choice["message"]["content"] for choice in ask(url, n=3)["choices"]]
    assert len(set(texts)) == 3
    assert texts[0] == whole


def test_ignored_fields_are_ignored_without_a_word(url: str) -> None:
    reset(url, ignore=["seed", "n", "stop", "logprobs"])
    whole = said(url)
    assert said(url) != whole
    answer = ask(url, n=3, logprobs=True, top_logprobs=2, stop=" ")
    assert len(answer["choices"]) == 1
    assert answer["choices"][0]["logprobs"] is None
    assert " " in answer["choices"][0]["message"]["content"]


def test_labels_have_log_probabilities_in_both_formats(url: str) -> None:
    reset(url, labels=["yes", "no"], mass=0.9)
    chat = ask(url, max_tokens=1, logprobs=True, top_logprobs=5)["choices"][0]
    top = {one["token"]: one["logprob"] for one in chat["logprobs"]["content"][0]["top_logprobs"]}
    assert len(top) == 5
    assert 2.718281828 ** top["yes"] + 2.718281828 ** top["no"] == pytest.approx(0.9)
    assert chat["message"]["content"] == max(top, key=lambda token: top[token])
    body = {"model": "simulated", "prompt": "hello", "max_tokens": 1, "logprobs": 5, "seed": 1}
    text = json.loads(post(f"{url}/completions", body))["choices"][0]
    assert text["text"] == max(text["logprobs"]["top_logprobs"][0], key=text["logprobs"]["top_logprobs"][0].get)
    assert refusal(url, max_tokens=1, logprobs=True, top_logprobs=21)[0] == 400


@pytest.mark.parametrize(
    ("options", "fields", "status", "code"),
    [
        ({"key": "canary"}, {}, 401, "invalid_api_key"),
        ({"key": "canary"}, {"headers": {"Authorization": "Bearer other"}}, 401, "invalid_api_key"),
        ({}, {"model": "other"}, 404, "model_not_found"),
        ({"max_context": 50}, {"max_tokens": 50}, 400, "context_length_exceeded"),
        ({"no_system": True}, {"messages": [{"role": "system", "content": ""}]}, 400, "invalid_request_error"),
        ({}, {"messages": "hello"}, 400, "invalid_request_error"),
        ({}, {"max_tokens": 0}, 400, "invalid_request_error"),
    ],
)
def test_refusals(url: str, options: dict[str, Any], fields: dict[str, Any], status: int, code: str) -> None:
    reset(url, **options)
    got, error, _ = refusal(url, **fields)
    assert (got, error["code"]) == (status, code)


def test_the_right_key_is_served(url: str) -> None:
    reset(url, key="canary")
    assert ask(url, headers={"Authorization": "Bearer canary"})["choices"]


def test_context_may_be_cut_in_silence(url: str) -> None:
    reset(url, max_context=50, cut_context=True)
    assert ask(url, "word " * 100, max_tokens=10)["usage"]["prompt_tokens"] == 40


@pytest.mark.parametrize("where", ["reasoning", "reasoning_content"])
def test_thoughts_stand_apart(url: str, where: str) -> None:
    whole = said(url)
    reset(url, think=where)
    answer = ask(url)
    message = answer["choices"][0]["message"]
    assert f"{message[where]} {message['content']}" == whole
    assert 0 < answer["usage"]["completion_tokens_details"]["reasoning_tokens"] < answer["usage"]["completion_tokens"]
    reset(url, think="inline")
    assert said(url).startswith("<think>")


def test_a_turn_that_was_begun_is_continued_or_followed_by_another(url: str) -> None:
    fields = {"max_tokens": 1, "continue_final_message": True, "add_generation_prompt": False}
    begun = [{"role": "user", "content": "A or B?"}, {"role": "assistant", "content": "("}]
    plain = ask(url, "A or B?", max_tokens=1)["usage"]["prompt_tokens"]
    assert ask(url, messages=begun, **fields)["usage"]["prompt_tokens"] == plain
    reset(url, continue_turns=False)
    assert ask(url, messages=begun, **fields)["usage"]["prompt_tokens"] == plain + 3


def test_overflow_waits_or_is_rejected(url: str) -> None:
    reset(url, slots=2, first_token=0.2)
    with ThreadPoolExecutor(8) as pool:
        started = time.monotonic()
        list(pool.map(lambda i: ask(url, f"{i}"), range(8)))
    assert 0.75 < time.monotonic() - started < 3  # four rounds of two
    counted = stats(url)
    assert (counted["peak_slots"], counted["peak_in_flight"], counted["completions"]) == (2, 8, 8)
    assert counted["busy_seconds"] == pytest.approx(1.6, abs=0.05)

    reset(url, slots=1, queue=0, retry_after=0.5, first_token=1.0)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(ask, url)
        while not stats(url)["busy_slots"]:
            time.sleep(0.01)
        status, error, headers = refusal(url)
        assert held.result()["choices"]
    assert (status, error["code"], headers["Retry-After"]) == (429, "rate_limit_exceeded", "0.5")
    assert stats(url)["rejections"] == 1


def test_capacity_share_of_a_full_and_of_a_half_empty_server(url: str) -> None:
    for threads, low, high in ((8, 0.99, 1.0), (2, 0.4, 0.5)):
        reset(url, slots=4, first_token=0.03)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda i: ask(url, f"{i}"), range(80)))
        assert low <= stats(url)["capacity_share"] <= high + 1e-9


def test_a_client_that_goes_away_gives_its_slot_back(url: str) -> None:
    reset(url, slots=1, first_token=30.0)
    with pytest.raises(TimeoutError):
        post(f"{url}/completions", {"model": "simulated", "prompt": "hello"}, timeout=0.2)
    while stats(url)["busy_slots"]:
        time.sleep(0.01)
    assert stats(url)["busy_seconds"] < 5
    assert stats(url)["completions"] == 0


def test_the_prefix_cache_saves_time_to_the_first_token(url: str) -> None:
    reset(url, prefix_blocks=1000, first_token=0.3)
    prompt = "word " * 200
    ask(url, prompt)
    before = stats(url)["busy_seconds"]
    again = ask(url, prompt)
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] > 180
    assert stats(url)["busy_seconds"] - before < 0.1
    assert stats(url)["prefix"]["hits"] == stats(url)["prefix"]["blocks"] / 2
    reset(url)
    assert ask(url, prompt)["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


def outcome(url: str) -> str:
    body = {"model": "simulated", "messages": [{"role": "user", "content": "hello"}], "seed": 1}
    body |= {"max_tokens": 2, "logprobs": True, "top_logprobs": 4}
    try:
        data = post(f"{url}/chat/completions", body, timeout=1)
        answer = json.loads(data)
    except urllib.error.HTTPError as error:
        with error:
            return str(error.code)
    except json.JSONDecodeError:
        return "html" if data.startswith(b"<!DOCTYPE") else "bad_json"
    except (ConnectionError, TimeoutError) as error:
        return "hang" if isinstance(error, TimeoutError) else "drop"
    if "error" in answer:
        return "error_body"
    if not answer["choices"]:
        return "empty"
    logprobs = answer["choices"][0]["logprobs"]
    if logprobs is None:
        return "no_logprobs"
    return "short_logprobs" if len(logprobs["content"][0]["top_logprobs"]) < 4 else "fine"


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_each_fault_happens_and_only_as_often_as_it_may(url: str, fault: str) -> None:
    reset(url, faults={fault: 1.0}, faulty=1, drip=0.3)
    started = time.monotonic()
    expected = "fine" if fault == "drip" else fault
    assert outcome(url) == expected
    assert (time.monotonic() - started > 0.25) == (fault in ("drip", "hang"))
    assert outcome(url) == "fine"
    assert stats(url)["faults"] == {fault: 1}


def test_faults_come_with_their_probability(url: str) -> None:
    reset(url, faults={"500": 0.3, "429": 0.2})
    outcomes = [outcome(url) for _ in range(200)]
    assert 40 <= outcomes.count("500") <= 80
    assert 22 <= outcomes.count("429") <= 58


def answers(url: str) -> bool:
    try:
        return bool(stats(url))
    except OSError:
        return False


def test_it_ends_with_its_parent() -> None:
    script = (
        "import os, time\nfrom benchmarks.generation.server import serve\n"
        "with serve(slots=1) as url:\n    print(url, flush=True)\n    time.sleep(60)"
    )
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert stats(url)["slots"] == 1
        parent.kill()
    deadline = time.monotonic() + 10
    while answers(url):
        assert time.monotonic() < deadline
        time.sleep(0.05)
