"""What the simulated server simulates: one field, one flag of the command line."""

from __future__ import annotations

import argparse
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

FAULTS = {
    "429": "too many requests",
    "500": "internal error",
    "drop": "the connection is closed without an answer, at the end of the generation",
    "hang": "no answer ever",
    "bad_json": "the body breaks off",
    "html": "200 with a page of HTML",
    "error_body": "200 with an error for a body",
    "empty": "200 with no choices",
    "drip": "the body comes in small pieces over `drip` seconds",
    "no_logprobs": "log-probabilities are left out",
    "short_logprobs": "only the likeliest token's log-probability is given",
}
IGNORABLE = ("seed", "n", "stop", "logprobs")


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, slots=True)
class Options:
    """The server's settings. A request for one token takes 25 ms by default: 20 to the first token and 5 for it."""

    slots: int = _option(256, "requests in the batch at a time")
    first_token: float = _option(0.020, "seconds to the first token")
    per_token: float = _option(0.005, "seconds for each token")
    tokens: float = _option(100.0, "mean tokens of an answer, before the request's own limit")
    sigma: float = _option(0.8, "sigma of the log-normal length; 0: every answer is of the mean length")
    queue: int | None = _option(None, "requests that may wait for a slot, the rest gets 429; left out: no limit")
    retry_after: float | None = _option(None, "seconds in the Retry-After header of a 429; left out: no header")
    prefix_blocks: int = _option(0, "blocks of 64 characters that the prefix cache holds; 0: no cache")
    prefix_saves: float = _option(1.0, "share of the time to the first token that a whole hit saves")
    model: str = _option("simulated", "the model's name; another one gets 404")
    key: str | None = _option(None, "the API key that is required; another one gets 401")
    max_context: int | None = _option(None, "tokens of prompt and answer together")
    cut_context: bool = _option(False, "cut prompts that are too long in silence, where 400 is the answer otherwise")
    no_system: bool = _option(False, "refuse messages of the system (400), as some chat templates do")
    continue_turns: bool = _option(True, "honour `continue_final_message`: go on with a turn that was begun")
    ignore: tuple[str, ...] = _option((), f"fields that are ignored without a word: {', '.join(IGNORABLE)}")
    labels: tuple[str, ...] = _option(("A", "B"), "tokens that the first token's log-probabilities are about")
    mass: float = _option(0.95, "the labels' probabilities together")
    max_top_logprobs: int = _option(20, "the most alternatives a request may ask for; more gets 400")
    think: str | None = _option(None, "where a thought is put: reasoning_content, reasoning, or inline (<think>)")
    faults: dict[str, float] = field(default_factory=dict, metadata={"help": f"probability of {', '.join(FAULTS)}"})
    faulty: int | None = _option(None, "only so many requests, the first ones, may fail; left out: all")
    drip: float = _option(2.0, "seconds that a slow body takes")
    seed: int = _option(0, "of the faults, and of what a request without a seed gets")

    def __post_init__(self) -> None:
        unknown = [*(set(self.faults) - set(FAULTS)), *(set(self.ignore) - set(IGNORABLE))]
        if unknown:
            raise ValueError(f"not known: {unknown}; faults are {list(FAULTS)}, to ignore are {IGNORABLE}")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """One flag for each field; `--faults 500=0.1 drop=0.02`, `--ignore seed n`."""
    hints = typing.get_type_hints(Options)
    for one in fields(Options):
        flag = "--" + one.name.replace("_", "-")
        hint = hints[one.name]
        many = typing.get_origin(hint) in (tuple, dict)
        common: dict[str, Any] = {"default": argparse.SUPPRESS, "help": one.metadata["help"]}
        if hint is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, **common)
        elif many:
            parser.add_argument(flag, nargs="*", metavar="X", **common)
        else:
            parser.add_argument(flag, type=_type(hint), metavar="X", **common)


def from_flags(given: dict[str, Any]) -> Options:
    """The options of parsed flags; fields that were not given keep their defaults."""
    values = {one.name: given[one.name] for one in fields(Options) if one.name in given}
    if "faults" in values:
        pairs = (pair.partition("=") for pair in values["faults"])
        values["faults"] = {name: float(probability) for name, _, probability in pairs}
    for name in ("ignore", "labels"):
        if name in values:
            values[name] = tuple(values[name])
    return Options(**values)


def to_flags(options: dict[str, Any]) -> list[str]:
    """The command line that gives these fields these values."""
    flags: list[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True or value is False:
            flags.append(flag if value else flag.replace("--", "--no-", 1))
        elif isinstance(value, dict):
            flags += [flag, *(f"{key}={number}" for key, number in value.items())]
        elif isinstance(value, Sequence) and not isinstance(value, str):
            flags += [flag, *value]
        elif value is not None:
            flags.append(f"{flag}={value}")
    return flags


def _type(hint: Any) -> Any:
    """The type of `X` and of `X | None`."""
    if isinstance(hint, types.UnionType):
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return hint
