"""Prompts that a model writes in the manner of given ones. The paper's 140,335 model-generated red-team prompts, and
the 491,142 and 474,300 prompts of its reinforcement learning, came of showing a model human ones.

Every call shows about ten given prompts (seeds), drawn at random from its topic, and asks for more. A topic is a group
of seeds, a principle, or a pair of principles that may pull apart. Refusals, repetitions and near repetitions (of
seeds, too) are left out; each topic keeps as many as it should, and what came of the calls is counted by topic.

Calls are made in passes: as many as should fill the topics, then as many as are still missing at the rate at which
each topic has yielded. So the result depends on the seed and not on what runs at the same time.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from charter import constitution as constitutions
from charter.constitution import Constitution, Principle
from charter.core.errors import CallFailed, InputError, TooLong, WorkError
from charter.core.recipe import GenerateConfig, ModelConfig
from charter.core.records import Prompt
from charter.core.seeds import derive
from charter.core.stage import Artifact, Stage
from charter.core.tables import write_jsonl
from charter.models import open_engine
from charter.models.engine import Completion, GenerateRequest
from charter.models.runner import all_that_can
from charter.models.usage import Metered
from charter.prompts import wording
from charter.prompts.near import NearDuplicates, plain
from charter.prompts.refusals import is_canned_refusal, is_filter_notice
from charter.prompts.sources import load_prompts

VERSION = 1
CALLS_PER_PROMPT = 3
"""The most calls, where the recipe does not say, for every prompt wanted."""
LEAST_RATE = 0.1
"""A topic that yields less than this per call is not asked in proportion."""


@dataclass(slots=True)
class Yield:
    """What came of one topic's calls. Every prompt in a reply is one of the rows from `refused` on."""

    topic: str
    wanted: int
    asked: int = 0
    empty: int = 0
    """Replies with no whole prompt in them."""
    refused: int = 0
    """The model's refusal in a prompt's place."""
    long: int = 0
    """Of more characters than allowed."""
    duplicates: int = 0
    near_duplicates: int = 0
    surplus: int = 0
    """Good ones, past what was wanted."""
    kept: int = 0

    @property
    def missing(self) -> int:
        """How many are still wanted."""
        return self.wanted - self.kept


@dataclass(frozen=True, slots=True)
class Topic:
    """What a part of the prompts is about: words for the model, and the seeds that are drawn first."""

    name: str
    about: str | None
    seeds: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """The `number`-th call for a topic, with its draw of seeds."""

    topic: Topic
    number: int
    shots: tuple[Prompt, ...]


def generate_prompts(
    stage: Stage,
    config: GenerateConfig,
    model: ModelConfig,
    threads: int | None,
    seeds: Artifact,
    constitution: Artifact | None = None,
    *,
    source: str = "red_team",
) -> None:
    """Write up to `config.number` prompts as JSONL, which `load_prompts` reads: each with its topic as `cluster`, and
    under `generated` the model, the call and the ids of its seeds. `source` says what they are for. The yield of each
    topic goes into the metrics, the totals into the counts.

    Raises InputError where principles are wanted and there is no constitution, and WorkError where nothing came."""
    engine = open_engine(model, threads, stage)
    given = load_prompts(seeds.path, source)
    law = constitutions.load(constitution.path) if constitution else None
    work = _Work(stage, config, source, engine, given, topics(config, stage.seed, given, law))
    stage.count(prompts=0)  # counted first, and so shown when the stage ends
    write_jsonl(stage.out, work.rows())
    work.report()


class _Work:
    """One stage at work: its topics, their yields so far, and the texts that were taken."""

    def __init__(
        self,
        stage: Stage,
        config: GenerateConfig,
        source: str,
        engine: Metered,
        seeds: Sequence[Prompt],
        parts: Sequence[Topic],
    ) -> None:
        self.stage, self.config, self.source, self.engine = stage, config, source, engine
        self.seeds, self.topics = seeds, parts
        shares = [config.number * (n + 1) // len(parts) - config.number * n // len(parts) for n in range(len(parts))]
        self.yields = {topic.name: Yield(topic.name, share) for topic, share in zip(parts, shares, strict=True)}
        self.texts = {hash(plain(prompt.text)) for prompt in seeds}
        self.near = NearDuplicates(config.near_duplicate)
        for prompt in seeds:
            self.near.add(prompt.text)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The prompts, pass after pass, until there are enough, a pass brings none, or the calls are used up."""
        left = self.config.calls or CALLS_PER_PROMPT * self.config.number
        while left and any(done.missing for done in self.yields.values()):
            numbers = self._numbers()
            size = min(left, sum(map(len, numbers)))
            left -= size
            kept = self._kept()
            try:
                for call, reply in self._replies(itertools.islice(self._calls(numbers), size), size):
                    yield from self._taken(call, reply)
            except (TooLong, CallFailed):
                if not self._kept():
                    raise
            if self._kept() == kept:
                break

    def _kept(self) -> int:
        return sum(done.kept for done in self.yields.values())

    def _numbers(self) -> list[range]:
        """The calls of one pass, by topic: as many as should bring what is missing."""
        numbers = []
        for done in self.yields.values():
            rate = max(LEAST_RATE, done.kept / done.asked) if done.asked else 1.0
            numbers.append(range(done.asked, done.asked + math.ceil(done.missing / rate)))
        return numbers

    def _calls(self, numbers: Sequence[range]) -> Iterator[Call]:
        """One call of each topic in turn, so that all have their share where calls are few."""
        for turn in itertools.zip_longest(*numbers):
            for topic, number in zip(self.topics, turn, strict=True):
                if number is not None:
                    self.yields[topic.name].asked += 1
                    yield self._call(topic, number)

    def _call(self, topic: Topic, number: int) -> Call:
        """Seeds of the topic first; of all where it has too few. Their order is random."""
        draw, wanted = random.Random(derive(self.stage.seed, "generate", topic.name, number)), self.config.shots
        shots = draw.sample(topic.seeds, min(wanted, len(topic.seeds)))
        if len(shots) < wanted:
            known = {prompt.id for prompt in shots}
            others = draw.sample(self.seeds, min(wanted + len(shots), len(self.seeds)))
            shots = [*shots, *(prompt for prompt in others if prompt.id not in known)][:wanted]
            draw.shuffle(shots)
        return Call(topic, number, tuple(shots))

    def _replies(self, calls: Iterable[Call], size: int) -> Iterator[tuple[Call, Completion]]:
        """The replies in their order. The engine's usage is counted once, however many passes there are."""
        config, before = self.config, self.engine.usage.to_dict()

        async def ask(call: Call) -> tuple[Call, Completion]:
            shots = [prompt.text for prompt in call.shots]
            messages = wording.request(config.style, self.source, call.topic.about, shots)
            seed = derive(self.stage.seed, "generated", call.topic.name, call.number)
            request = GenerateRequest(messages, seed, config.max_new_tokens, config.temperature)
            return call, await self.engine.generate(request)

        what = f"{self.source} prompts"
        yield from all_that_can(self.stage, ask, calls, what, self.engine, unit="replies", total=size)
        self.stage.count(**{name: -number for name, number in before.items()})

    def _taken(self, call: Call, reply: Completion) -> Iterator[dict[str, Any]]:
        """What a reply adds."""
        done = self.yields[call.topic.name]
        found = wording.read_reply(reply.text, self.config.style, cut=reply.truncated)
        done.empty += not found
        for text in found:
            verdict = self._verdict(done, text)
            setattr(done, verdict, getattr(done, verdict) + 1)
            if verdict == "kept":
                seeds = [prompt.id for prompt in call.shots]
                origin = {"model": self.engine.name, "call": call.number, "seeds": seeds}
                topic = {"cluster": call.topic.name} if call.topic.name else {}
                yield {"prompt": text, **topic, "generated": origin}

    def _verdict(self, done: Yield, text: str) -> str:
        """The field of the yield that this prompt goes into."""
        if is_canned_refusal(text) or is_filter_notice(text):
            return "refused"
        if len(text) > self.config.max_chars:
            return "long"
        if hash(plain(text)) in self.texts:
            return "duplicates"
        if not done.missing:
            return "surplus"
        if not self.near.add(text):
            return "near_duplicates"
        self.texts.add(hash(plain(text)))
        return "kept"

    def report(self) -> None:
        """Metrics by topic, counts in all, and a word where fewer came than were wanted."""
        lines = [asdict(done) for done in self.yields.values()]
        for line in lines:
            self.stage.metric(**line)
        totals = {
            name: sum(line[name] for line in lines) for name in lines[0] if name not in ("topic", "kept", "asked")
        }
        self.stage.count(prompts=self._kept(), topics=len(lines), **totals)
        self.stage.log.info("prompts by topic\n%s", coverage_table(lines))
        if not self._kept():
            raise WorkError("no prompts came of the replies", cure="look at them: try another model, style or seeds")
        if self._kept() < self.config.number:
            thin = sum(done.missing > 0 for done in self.yields.values())
            said = f"{self._kept():,} of {self.config.number:,} prompts; {thin:,} of {len(lines):,} topics have too few"
            self.stage.warn(said)


def coverage_table(lines: Iterable[Mapping[str, Any]]) -> str:
    """The yield by topic and in all as a plain table; `lines` as in the metrics (further fields are passed over)."""
    columns = list(Yield.__dataclass_fields__)
    rows = [[str(line[column]) for column in columns] for line in lines]
    totals = [str(sum(int(row[n]) for row in rows)) for n in range(1, len(columns))]
    table = [[column.replace("_", " ") for column in columns], *rows, ["all", *totals]]
    widths = [max(len(row[n]) for row in table) for n in range(len(columns))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in table
    )


# topics --------------------------------------------------------------------------------------------------------------


def topics(config: GenerateConfig, seed: int, seeds: Sequence[Prompt], law: Constitution | None) -> list[Topic]:
    """The parts of what shall be written. Raises InputError where principles are wanted and there are none."""
    own = _groups(seeds)
    if config.by == "topic":
        return [Topic(name, f"about: {name}" if name else None, own[name]) for name in sorted(own)]
    if law is None:
        raise InputError(
            f"prompts by {config.by} need a constitution", where="generate.by", cure="name a constitution, or by: topic"
        )
    principles = [principle for principle in law.principles if principle.status != "retired"]
    if config.by == "principle":
        about = [(p.id, wording.about_principle(_demand(p))) for p in principles]
    else:
        about = [
            (f"{one.id} / {other.id}", wording.about_conflict(_demand(one), _demand(other)))
            for one, other in _pairs(principles, config.pairs, seed)
        ]
    if not about:
        raise InputError(f"the constitution has too few principles for prompts by {config.by}", where=law.name)
    return [Topic(name, words, own.get(name, ())) for name, words in about]


def _groups(seeds: Sequence[Prompt]) -> dict[str, tuple[Prompt, ...]]:
    """The seeds by topic; those without one are together."""
    groups: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in seeds:
        groups[prompt.cluster or prompt.kind or ""].append(prompt)
    return {name: tuple(group) for name, group in groups.items()}


def _demand(principle: Principle) -> str:
    """The principle in its own words."""
    return principle.comparison or principle.critique or principle.revision or principle.id


def _pairs(principles: Sequence[Principle], number: int, seed: int) -> list[tuple[Principle, Principle]]:
    """So many different pairs, drawn at random; those of different categories come first, as they pull apart more."""
    pairs = list(itertools.combinations(principles, 2))
    random.Random(derive(seed, "conflicts")).shuffle(pairs)
    return sorted(pairs, key=lambda pair: pair[0].category == pair[1].category)[:number]
