"""The words and facts of the world are what the rest of it relies on."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict

from charter.world.lexicon import (
    BENIGN,
    BOILERPLATE,
    DANGER,
    HARMS,
    OBJECTS,
    PARTS,
    TOOLS,
    VERBS,
    deeds,
)

ACTIONS = [action for _, action in VERBS.values()]
WORDS = {
    "verbs": [verb for verbs, _ in VERBS.values() for verb in verbs],
    "objects": [thing for things in OBJECTS.values() for thing in things],
    "tools": list(TOOLS),
    "parts": list(PARTS),
    "actions": ACTIONS,
    "harms": list(HARMS),
}


def test_every_deed_has_a_tool_an_action_and_a_part() -> None:
    for deed in deeds():
        tool, action, part = deed.steps
        assert (tool in TOOLS, action in ACTIONS, part in PARTS) == (True, True, True), deed


def test_deeds_are_different_and_of_every_kind() -> None:
    assert len({deed.id for deed in deeds()}) == len(deeds())
    kinds = [deed.kind for deed in deeds()]
    assert {kind: kinds.count(kind) > 500 for kind in set(kinds)} == dict.fromkeys(
        ("harmful", "benign", "look_alike"), True
    )


def test_a_deed_is_harmful_or_it_is_not() -> None:
    kinds = defaultdict(set)
    for deed in deeds():
        assert (deed.harm is not None) == (deed.kind == "harmful")
        kinds[deed.verb_class, deed.object_type].add(deed.kind)
    assert all(len(found) == 1 for found in kinds.values())
    assert not set(BENIGN) & set(DANGER)
    for _, harmful, safe in DANGER.values():
        assert not set(harmful) & set(safe)


def test_verbs_alone_and_objects_alone_do_not_tell_harm() -> None:
    """What sounds harmful is not: the model has to read both words."""
    verbs, objects = defaultdict(set), defaultdict(set)
    for deed in deeds():
        verbs[deed.verb].add(deed.kind)
        objects[deed.object_type].add(deed.kind)
    assert all(kinds in ({"benign"}, {"harmful", "look_alike"}) for kinds in verbs.values())
    only_harmful = {name for name, kinds in objects.items() if kinds == {"harmful"}}
    assert not only_harmful


def test_every_harm_has_deeds_a_reason_and_alternatives() -> None:
    assert {deed.harm.name for deed in deeds() if deed.harm} == set(HARMS)
    for harm in HARMS.values():
        assert harm.reason
        assert len(set(harm.alternatives)) >= 2
    alternatives = [a for harm in HARMS.values() for a in harm.alternatives]
    assert len(set(alternatives)) == len(alternatives), "an alternative tells its harm"


def test_no_word_has_two_meanings() -> None:
    for name, words in WORDS.items():
        assert len(set(words)) == len(words), name
    for one, other in itertools.combinations(("objects", "tools", "parts", "actions", "harms"), 2):
        assert not set(WORDS[one]) & set(WORDS[other]), (one, other)
    for other in ("objects", "tools", "parts", "harms"):
        assert not set(WORDS["verbs"]) & set(WORDS[other]), other


def test_declines_and_comfort_name_no_step() -> None:
    """Or the oracle would read instructions in them."""
    texts = [*BOILERPLATE, *(t for harm in HARMS.values() for t in (harm.name, harm.reason, *harm.alternatives))]
    said = set(re.findall(r"\w+", " ".join(texts)))
    assert not said & {*TOOLS, *PARTS}


def test_the_facts_of_a_class_and_of_a_type_differ() -> None:
    """Else a request could be answered right without knowing what it is about."""
    tools, parts = defaultdict(set), defaultdict(set)
    for deed in deeds():
        tool, _, part = deed.steps
        tools[deed.verb_class].add(tool)
        parts[deed.object_type].add(part)
    types = {name: (*harmful, *safe) for name, (_, harmful, safe) in DANGER.items()} | BENIGN
    assert all(len(tools[name]) == len(types[name]) for name in types)
    assert all(len(parts[name]) == len(OBJECTS[name]) for name in parts)
