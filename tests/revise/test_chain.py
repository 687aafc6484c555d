from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from charter.constitution import Constitution, Principle, Sampling, draw
from charter.core.recipe import ReviseConfig
from charter.core.records import Chain, Prompt, assistant, user
from charter.core.seeds import derive
from charter.models.engine import GenerateRequest
from charter.models.scripted import ScriptedEngine
from charter.revise.chain import revise_chain, taken_over

PRINCIPLES = tuple(
    Principle(id=name, critique=f"Find {name}.", revision=f"Remove {name}.", comparison=f"Which has less {name}?")
    for name in ("harm", "hate", "lies")
)
CONSTITUTION = Constitution(name="test", principles=PRINCIPLES)
PROMPT = Prompt("p1", (user("hello"), assistant("hi"), user("how?")))
START = Chain(PROMPT, 2, "like this", model="helper", seed=7)


def numbered(prefix: str) -> tuple[ScriptedEngine, list[GenerateRequest]]:
    """An engine that numbers its answers, and the requests it gets."""
    seen: list[GenerateRequest] = []

    def reply(request: GenerateRequest) -> str:
        seen.append(request)
        return f"{prefix} {len(seen)}"

    return ScriptedEngine(reply), seen


def revise(config: ReviseConfig, constitution: Constitution = CONSTITUTION, seed: int = 5, start: Chain = START):
    engine, revisions = numbered("revision")
    critic, critiques = numbered("critique")
    return asyncio.run(revise_chain(engine, critic, constitution, config, start, seed)), revisions, critiques


def test_the_conversation_is_that_of_section_3_1() -> None:
    chain, revisions, critiques = revise(ReviseConfig(rounds=2, max_new_tokens=9, temperature=0.5))
    by_id = {p.id: p for p in PRINCIPLES}
    answer = "like this"
    for n, done in enumerate(chain.rounds, start=1):
        principle = by_id[done.principle_id]
        asked = (*PROMPT.messages, assistant(answer), user(principle.critique or ""))
        assert critiques[n - 1] == GenerateRequest(asked, derive(5, "p1", 2, n, "critique"), 9, 0.5)
        asked = (*asked, assistant(f"critique {n}"), user(principle.revision or ""))
        assert revisions[n - 1] == GenerateRequest(asked, derive(5, "p1", 2, n, "revision"), 9, 0.5)
        assert (done.critique, done.revision) == (f"critique {n}", f"revision {n}")
        assert done.principle_hash == principle.hash
        answer = done.revision
    assert chain.answers == ("like this", "revision 1", "revision 2")
    assert (chain.prompt, chain.chain, chain.model, chain.seed) == (PROMPT, 2, "helper", 7)
    assert chain.constitution_hash == CONSTITUTION.hash


def test_a_direct_revision_has_no_critique_and_the_same_principles() -> None:
    direct, revisions, critiques = revise(ReviseConfig(rounds=3, critique=False))
    critiqued, _, _ = revise(ReviseConfig(rounds=3))
    assert critiques == []
    assert [r.critique for r in direct.rounds] == [None] * 3
    assert [r.principle_id for r in direct.rounds] == [r.principle_id for r in critiqued.rounds]
    assert [m.role for m in revisions[0].messages] == ["user", "assistant", "user", "assistant", "user"]


def test_a_principle_without_a_critique_revises_directly() -> None:
    constitution = Constitution(name="test", principles=(Principle(id="plain", revision="Be plain."),))
    chain, _, critiques = revise(ReviseConfig(rounds=1), constitution)
    assert critiques == []
    assert chain.rounds[0].critique is None


@pytest.mark.parametrize("seed", range(5))
def test_principles_are_fresh_until_all_have_been_used(seed: int) -> None:
    chain, _, _ = revise(ReviseConfig(rounds=6), seed=seed)
    ids = [r.principle_id for r in chain.rounds]
    assert sorted(ids[:3]) == sorted(ids[3:]) == ["harm", "hate", "lies"]
    assert ids[0] == draw(CONSTITUTION, "revision", (seed, "p1", 2, 1)).id


def test_a_chain_depends_on_its_names_alone() -> None:
    def drawn(of: Callable[[int], Chain], seed: int = 5) -> list[str]:
        return [revise(ReviseConfig(rounds=1), start=of(n), seed=seed)[0].rounds[0].principle_id for n in range(12)]

    def by_chain(n: int) -> Chain:
        return Chain(PROMPT, n, "x")

    def by_prompt(n: int) -> Chain:
        return Chain(Prompt(f"q{n}", PROMPT.messages), 0, "x")

    assert drawn(by_chain) == drawn(by_chain)
    for ids in (drawn(by_chain), drawn(by_prompt)):
        assert len(set(ids)) > 1
    assert drawn(by_chain) != drawn(by_chain, seed=6)


def test_an_earlier_chain_s_rounds_are_taken_over_up_to_the_first_that_is_stale() -> None:
    config = ReviseConfig(rounds=3)
    before, *_ = revise(config)
    stale = before.rounds[1].principle_id
    reworded = tuple(p.model_copy(update={"revision": "Else."}) if p.id == stale else p for p in PRINCIPLES)
    law = CONSTITUTION.model_copy(update={"principles": reworded})
    engine, revisions = numbered("new")
    after = asyncio.run(revise_chain(engine, engine, law, config, START, 5, before))
    assert len(revisions) == 4, "two rounds of critique and revision"
    assert after.rounds[0] == before.rounds[0]
    assert [r.revision for r in after.rounds[1:]] == ["new 2", "new 4"]
    assert taken_over(after, before) == 1
    elsewhere = replace(START, response="another answer")
    engine, revisions = numbered("new")
    asyncio.run(revise_chain(engine, engine, law, config, elsewhere, 5, before))
    assert len(revisions) == 6, "what was revised is another answer"


def test_with_replacement_every_round_draws_from_all() -> None:
    law = CONSTITUTION.model_copy(update={"sampling": Sampling(without_replacement=False)})
    drawn = [[r.principle_id for r in revise(ReviseConfig(rounds=3), law, seed)[0].rounds] for seed in range(20)]
    assert any(len(set(names)) < 3 for names in drawn)
    assert all(
        len({r.principle_id for r in revise(ReviseConfig(rounds=3), CONSTITUTION, seed)[0].rounds}) == 3
        for seed in range(20)
    )
