"""The miniature world as an ordinary project folder: what a user of Charter would bring, made from nothing.

    recipe.yaml constitution.yaml          ready for `charter run`
    red_team.jsonl helpful.jsonl           prompts for the method
    helpful_comparisons.jsonl              the judgements of the world's people
    evaluation.jsonl validation.jsonl      held-out prompts: choose on validation, report on evaluation
    label_pairs.jsonl                      fixed pairs of answers on evaluation's deeds, to measure preferences on
    model/                                 the pretrained helpful-only model, a Hugging Face folder
    world.json                             how it was made

The deeds of the world are divided into pretraining, method, validation and evaluation: no deed is in two of them, so no
request of a later part was ever seen in an earlier one. Folder and model are cached by the fingerprint of what makes
them.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from charter import constitution as constitutions
from charter.constitution import Constitution
from charter.core.dumping import dump_yaml
from charter.core.files import move_into_place, remove
from charter.core.fingerprint import fingerprint, fingerprint_path
from charter.core.progress import Show, progress, say
from charter.core.seeds import derive
from charter.core.yaml import parse_yaml
from charter.world.corpus import documents
from charter.world.grammar import EMPTY_CRITIQUE, Manner, answer, mistaken_request, request
from charter.world.lexicon import Deed, deeds
from charter.world.model import Pretraining, Size, make_tokenizer, pretrain, save, split_words
from charter.world.people import comparisons

HERE = Path(__file__).parent
CONSTITUTION = HERE / "constitution.yaml"
SPLITS = {"pretraining": 0.48, "method": 0.31, "validation": 0.05, "evaluation": 0.16}
KINDS = ("harmful", "benign", "look_alike")


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a world is."""

    size: Size = field(default_factory=Size)
    classes: tuple[str, ...] | None = None  # only verbs of these classes; None: all
    red_team: int = 1000
    helpful: int = 1400
    comparisons: int = 5000
    evaluation: int = 400  # of each kind
    pairs: int = 600  # of harmful requests; half as many of others
    overrides: tuple[str, ...] = ()  # of the recipe
    constitution: Path = CONSTITUTION  # whose wordings the model is taught to apply


FULL = Plan()
QUICK = Plan(
    size=replace(Size(), width=64, layers=3, feed_forward=192, steps=220, rows=20, row_length=160),
    classes=("take", "kill", "repair", "clean"),
    red_team=240,
    helpful=400,
    comparisons=500,
    evaluation=60,
    pairs=520,
    overrides=(
        "rl.steps=30",
        "rl.batch_size=64",
        "rl.minibatch_size=64",
        "sl.per_device_train_batch_size=16",
        "evaluate.bootstrap=200",
    ),
)


def world(
    *,
    seed: int = 0,
    quick: bool = False,
    show: Show = "auto",
    cache: Path | None = None,
    constitution: Path = CONSTITUTION,
) -> Path:
    """The folder of the world with this seed, made if it is not in the cache. Its model is taught to apply the
    principles of `constitution`."""
    plan = replace(QUICK if quick else FULL, constitution=constitution)
    home = cache or cache_folder()
    sources = [(name, fingerprint_path(HERE / name)) for name in _sources()]
    folder = home / "worlds" / fingerprint(sources, replace(plan, constitution=HERE), _taught(plan), seed)
    if not folder.exists():
        started = time.monotonic()
        with _whole(folder) as partial:
            _write(partial, plan, seed, quick, home, show)
        say(f"{'world':<18}{folder}  {time.monotonic() - started:.1f} s", show)
    return folder


def cache_folder() -> Path:
    """Where worlds are kept: $CHARTER_CACHE, or `charter` in the user's cache folder."""
    own, users = os.environ.get("CHARTER_CACHE"), os.environ.get("XDG_CACHE_HOME")
    return Path(own) if own else Path(users or Path.home() / ".cache") / "charter"


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder to fill beside `folder`, which takes its name at the end; nothing is left of it after an error."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    remove(partial)
    partial.mkdir(parents=True)
    try:
        yield partial
        move_into_place(partial, folder, partial.with_suffix(".old"))
    finally:
        remove(partial)


def _sources() -> Iterator[str]:
    """What a world is made from. Not the oracle: it makes nothing."""
    yield from sorted(p.name for p in HERE.iterdir() if p.suffix in (".py", ".yaml") and p.name != "oracle.py")


def split(seed: int, classes: tuple[str, ...] | None = None) -> dict[str, list[Deed]]:
    """The deeds of each part, divided within each kind so that every part holds the same share of harm."""
    parts: dict[str, list[Deed]] = {name: [] for name in SPLITS}
    for kind in KINDS:
        some = [d for d in deeds() if d.kind == kind and (classes is None or d.verb_class in classes)]
        Random(derive(seed, "split", kind)).shuffle(some)
        start, share = 0, 0.0
        for name, fraction in SPLITS.items():
            share += fraction
            end = round(share * len(some))
            parts[name] += some[start:end]
            start = end
    return parts


def _write(folder: Path, plan: Plan, seed: int, quick: bool, home: Path, show: Show) -> None:
    """Everything, into a folder that is moved into place when it is whole."""
    parts = split(seed, plan.classes)
    if plan.constitution == CONSTITUTION:
        shutil.copyfile(plan.constitution, folder / "constitution.yaml")
    else:
        constitutions.dump(_law(plan), folder / "constitution.yaml")
    (folder / "recipe.yaml").write_text(_recipe(plan), encoding="utf-8")

    method, harmless = parts["method"], [d for d in parts["method"] if not d.harm]
    _rows(folder / "red_team.jsonl", _requests(method, {"harmful": plan.red_team}, derive(seed, "red team")))
    helpful = {"benign": plan.helpful * 6 // 10, "look_alike": plan.helpful * 3 // 10, "mistaken": plan.helpful // 10}
    _rows(folder / "helpful.jsonl", _requests(method, helpful, derive(seed, "helpful")))
    _rows(
        folder / "helpful_comparisons.jsonl",
        (asdict(judged) for judged in comparisons(harmless, plan.comparisons, Random(derive(seed, "people")))),
    )
    each = dict.fromkeys(KINDS, plan.evaluation) | {"mistaken": plan.evaluation // 4}
    for name in ("validation", "evaluation"):
        _rows(folder / f"{name}.jsonl", _requests(parts[name], each, derive(seed, name)))
    _rows(folder / "label_pairs.jsonl", _pairs(parts["evaluation"], plan.pairs, Random(derive(seed, "pairs"))))

    model = _model(parts["pretraining"], plan, seed, home, show)
    shutil.copytree(model, folder / "model")
    took = json.loads((model / "pretraining.json").read_text())
    about = {"seed": seed, "quick": quick, **took, "deeds": {part: len(some) for part, some in parts.items()}}
    text = json.dumps({**about, "empty_critique": EMPTY_CRITIQUE}, indent=1)
    (folder / "world.json").write_text(text + "\n", encoding="utf-8")


def _model(some: list[Deed], plan: Plan, seed: int, home: Path, show: Show) -> Path:
    """The folder of the model pretrained on these deeds, made if it is not in the cache."""
    law = _law(plan)
    sources = [fingerprint_path(HERE / name) for name in ("lexicon.py", "grammar.py", "corpus.py", "model.py")]
    folder = home / "models" / fingerprint(sources, _taught(plan), plan.size, some, seed)
    if folder.exists():
        return folder
    every = islice(documents(deeds(), law.principles, Random("the words of the world")), 40_000)
    tokenizer = make_tokenizer({w for d in every for m in d.messages for w in split_words(m.content)})
    draw = Random(derive(seed, "corpus"))
    corpus = documents(some, law.principles, draw)
    work = Pretraining(tokenizer, corpus, draw, plan.size, derive(seed, "weights"))
    checkpoint = folder.with_suffix(".checkpoint")
    with progress(plan.size.steps, "pretraining the world's model", show) as bar:
        pretrain(work, checkpoint, bar.advance)
    with _whole(folder) as partial:
        save(work, tokenizer, partial)
    checkpoint.unlink(missing_ok=True)
    return folder


def _law(plan: Plan) -> Constitution:
    return constitutions.load(plan.constitution)


def _taught(plan: Plan) -> list[Any]:
    """What the corpus takes from the constitution, in its order."""
    return [(p.id, p.tags, p.critique, p.revision, p.comparison) for p in _law(plan).principles]


def _recipe(plan: Plan) -> str:
    """The recipe that ships, with the plan's overrides written in."""
    text = (HERE / "recipe.yaml").read_text(encoding="utf-8")
    if not plan.overrides:
        return text
    data, _ = parse_yaml(text, "recipe.yaml")
    for override in plan.overrides:
        path, _, value = override.partition("=")
        *sections, key = path.split(".")
        at = data
        for section in sections:
            at = at.setdefault(section, {})
        at[key], _ = parse_yaml(value, override)
    return text.splitlines()[0] + "\n" + dump_yaml(data)


def _rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _requests(some: list[Deed], counts: dict[str, int], seed: int) -> Iterator[dict[str, Any]]:
    """So many different requests of each kind, spread evenly over the deeds of the kind. Mistaken ones are about
    benign deeds."""
    for kind, count in counts.items():
        draw = Random(derive(seed, kind))
        of_kind = [d for d in some if d.kind == ("benign" if kind == "mistaken" else kind)]
        draw.shuffle(of_kind)
        yield from islice(_distinct(of_kind, kind, draw), count)


def _distinct(some: list[Deed], kind: str, draw: Random) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    while some:
        for deed in some:
            text = mistaken_request(deed, draw)[0] if kind == "mistaken" else request(deed, draw)
            if text not in seen:
                seen.add(text)
                yield {"prompt": text, "kind": kind, "cluster": deed.id}


def _pairs(some: list[Deed], count: int, draw: Random) -> Iterator[dict[str, Any]]:
    """Pairs of written answers to harmful requests, and half as many to others; which is the better is not said."""
    harmful: tuple[tuple[Manner, Manner], ...] = (
        ("explains", "steps"),
        ("explains", "wrong"),
        ("explains", "declines"),
        ("declines", "steps"),
    )
    harmless: tuple[tuple[Manner, Manner], ...] = (
        ("steps", "wrong"),
        ("steps", "wrong"),
        ("steps", "explains"),
        ("steps", "declines"),
    )
    for kinds, choices, n in ((("harmful",), harmful, count), (("benign", "look_alike"), harmless, count // 2)):
        of_kind = [d for d in some if d.kind in kinds]
        for number in range(n):
            deed, manners = draw.choice(of_kind), choices[number % len(choices)]
            a, b = (answer(deed, manner, draw).text for manner in draw.sample(manners, 2))
            yield {"prompt": request(deed, draw), "a": a, "b": b, "kind": deed.kind, "cluster": deed.id}
