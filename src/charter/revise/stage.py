"""The stages `respond` and `revise`: every prompt's first answers, and their chains of revisions (sections 3.1 and
3.2)."""

from __future__ import annotations

from charter import constitution as constitutions
from charter.core.recipe import ModelConfig, RespondConfig, ReviseConfig
from charter.core.records import Chain, Prompt
from charter.core.seeds import derive
from charter.core.stage import Artifact, Stage
from charter.core.tables import read_records, write_records
from charter.models import open_engine
from charter.models.engine import GenerateRequest
from charter.models.usage import all_that_fit, total_usage
from charter.prompts import load_prompts
from charter.revise.chain import revise_chain, taken_over

VERSION = 1


def respond(
    stage: Stage,
    config: RespondConfig,
    model: ModelConfig,
    threads: int | None,
    prompts: Artifact,
    samples: int = 1,
    *,
    source: str = "red_team",
) -> None:
    """Answer every prompt of a file `samples` times; `source` says what the prompts are for. Writes chains without
    rounds, in the order of the prompts; the answer of (prompt, chain) depends on the run's seed alone. Prompts that
    fill the model's context are left out and counted."""
    engine = open_engine(model, threads)
    todo = [(prompt, n) for prompt in load_prompts(prompts.path, source) for n in range(samples)]

    async def answer(item: tuple[Prompt, int]) -> Chain:
        prompt, n = item
        seed = derive(stage.seed, prompt.id, n, "response")
        request = GenerateRequest(prompt.messages, seed, config.max_new_tokens, config.temperature)
        return Chain(prompt, n, (await engine.generate(request)).text, model=engine.name, seed=seed)

    chains = all_that_fit(stage, answer, todo, "answers")
    written = write_records(stage.out, chains)
    stage.count(chains=written, too_long=len(todo) - written, **total_usage(engine))


def revise(
    stage: Stage,
    config: ReviseConfig,
    assistant: ModelConfig,
    critic: ModelConfig | None,
    threads: int | None,
    constitution: Artifact,
    chains: Artifact,
) -> None:
    """Revise the first answers of `chains`. Writes them with their rounds, in the same order. Without a critic the
    assistant criticises itself, as in the paper. Chains that outgrow the context are left out and counted."""
    engine = open_engine(assistant, threads)
    critics = engine if critic is None or critic == assistant else open_engine(critic, threads)
    principles = constitutions.load(constitution.path)
    todo = read_records(chains.path, Chain)
    earlier = {(c.prompt.id, c.chain): c for c in stage.earlier_records(Chain)}

    async def work(chain: Chain) -> Chain:
        before = earlier.get((chain.prompt.id, chain.chain))
        return await revise_chain(engine, critics, principles, config, chain, stage.seed, before)

    revised = all_that_fit(stage, work, todo, "chains")
    written = write_records(stage.out, revised)
    stage.count(chains=written, too_long=len(todo) - written, **total_usage(engine, critics))
    if earlier:
        stage.count(taken_over=taken_over(revised, earlier))
