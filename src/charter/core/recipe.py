"""The recipe: what a run shall do. Sparse when a person writes it, complete when it is stored with a run.

Each field is explained under the field; the help texts are generated from there. Unknown keys are refused. Paths are
relative to the recipe's own folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from charter.core.settings import Config, Count, Fraction, Positive, Rate, Weight


class PromptFile(Config):
    """A file of prompts."""

    path: Path
    """JSONL with a `prompt` per row (a string, or a list of {role, content}; optional `id`, `kind`, `cluster`), or
    Human/Assistant transcripts (`.jsonl`, `.jsonl.gz`) with `chosen` or `transcript`."""
    limit: Positive | None = None
    """Take the first so many."""


class Prompts(Config):
    """Where prompts come from."""

    red_team: PromptFile
    """Prompts that ask for harm: revised, compared, and trained on."""
    helpful: PromptFile | None = None
    """Prompts that ask for help: answered by the assistant for the supervised stage, and used in RL."""
    evaluation: PromptFile | None = None
    """Prompts kept for evaluation alone."""


class ComparisonFile(Config):
    """A file of labelled comparisons."""

    path: Path
    """JSONL with `prompt`, `chosen`, `rejected`, or Human/Assistant transcripts with `chosen`, `rejected`."""
    labels: Literal["human", "ai", "simulated"] = "human"
    """Who judged."""
    limit: Positive | None = None
    """Take the first so many."""


class Comparisons(Config):
    """Comparisons that people (or others) have judged already."""

    helpful: ComparisonFile | None = None
    """Which of two answers is more helpful: mixed into the preference model's data (section 4.1)."""


class ModelConfig(Config):
    """One model."""

    engine: Literal["transformers", "scripted"] = "transformers"
    """`transformers`: a local folder or hub id, in this process. `scripted`: fixed answers, for tests and controls."""
    model_name_or_path: str | None = None
    """A folder (relative to the recipe) or a hub id."""
    revision: str | None = None
    """The hub revision."""
    device: str | None = None
    """`cpu`, `cuda`, ...; left out: the best there is."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """The weights' type."""
    batch_size: Positive = 256
    """The most calls in one batch of the local engine."""
    price_prompt: Weight = 0.0
    """What a million tokens read cost, in any currency."""
    price_completion: Weight = 0.0
    """What a million tokens written cost."""
    reply: str = ""
    """scripted: the text of every answer."""
    option: Count | None = None
    """scripted: the option that every choice falls on (0 is the first); left out: all options are equally likely."""


class Models(Config):
    """One model for each role. Left out: critic and feedback are the assistant, base is the assistant too."""

    assistant: ModelConfig
    """The helpful-only assistant that answers and revises."""
    base: ModelConfig | None = None
    """The model that is fine-tuned (section 3.2 tunes the pretrained one)."""
    critic: ModelConfig | None = None
    """Writes the critiques."""
    feedback: ModelConfig | None = None
    """Labels the comparisons."""


class RespondConfig(Config):
    """The first answer to every prompt."""

    temperature: Weight = 1.0
    """0 is greedy."""
    max_new_tokens: Positive = 512
    """The longest answer."""
    chains: Positive = 1
    """Answers per red-team prompt, each with its own chain of revisions."""
    helpful_samples: Positive = 2
    """Answers per helpful prompt (section 3.2)."""


class ReviseConfig(Config):
    """Critique and revision (section 3.1)."""

    rounds: Positive = 4
    """Revisions in a chain, a fresh principle for each."""
    critique: bool = True
    """False: revise directly, without a critique (section 3.5)."""
    temperature: Weight = 1.0
    """0 is greedy."""
    max_new_tokens: Positive = 512
    """The longest critique and the longest revision."""


class TrainConfig(Config):
    """What the training of every stage has in common."""

    learning_rate: Rate = 1e-5
    """The peak."""
    num_train_epochs: Positive = 1
    """Passes over the data."""
    per_device_train_batch_size: Positive = 16
    """Rows in a step."""
    warmup_ratio: Fraction = 0.0
    """The share of steps over which the rate rises."""
    lr_scheduler_type: Literal["constant", "linear", "cosine"] = "constant"
    """The rate after warm-up."""
    weight_decay: Weight = 0.0
    """AdamW's."""
    max_grad_norm: Rate = 1.0
    """Gradients are clipped to this norm."""
    max_length: Positive = 2048
    """Rows with more tokens (or more than the model's context) are left out and counted."""


class SLConfig(TrainConfig):
    """Supervised fine-tuning on revisions: SL-CAI (section 3.2)."""

    train_on: Literal["all_rounds", "last_round"] = "all_rounds"
    """Which revisions; the paper takes those of every round."""
    helpful_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """The share of helpful answers in the data, as far as there are enough."""


class PairConfig(Config):
    """Two answers of SL-CAI for every red-team prompt (section 4.1)."""

    temperature: Weight = 1.0
    """Must be above 0 for the answers to differ."""
    max_new_tokens: Positive = 512
    """The longest answer."""
    pairs: Positive = 1
    """Pairs per prompt."""


class LabelConfig(Config):
    """AI feedback (section 4.1)."""

    orders: Literal["both", "one"] = "both"
    """Ask with the answers in both orders and average, or in one order drawn at random."""
    principles: Positive = 1
    """Principles drawn per comparison; their verdicts are combined."""
    combine: Literal["tiers", "mean"] = "tiers"
    """`tiers`: the mean over the principles of the highest tier that neither abstains nor ties; `mean`: over all."""
    tie_margin: Annotated[float, Field(ge=0, lt=0.5)] = 0.05
    """A tier ties where its probability is within this of one half."""
    soft: bool = True
    """Keep the probability; False: round it to 0 or 1."""
    min_mass: Fraction = 0.05
    """A verdict is invalid where the options together have less probability than this."""
    flip: bool = False
    """A control: exchange every label. What is trained on them must get worse."""


class PMConfig(TrainConfig):
    """The preference model (section 4.1)."""

    start_from: Literal["sl", "base"] = "sl"
    """The weights it starts from."""
    test_fraction: Fraction = 0.1
    """The share of prompts kept out of training, for accuracy and calibration."""
    learning_rate: Rate = 1e-5
    """The peak."""


class RLConfig(Config):
    """Reinforcement learning by PPO against the preference model: RL-CAI (section 4.2)."""

    algorithm: Literal["ppo"] = "ppo"
    """Proximal policy optimisation."""
    reward: Literal["preference_model", "constant"] = "preference_model"
    """`constant` is a control: nothing may be learned from it."""
    prompts: Literal["all", "red_team"] = "all"
    """Red-team and helpful prompts, or red-team prompts alone."""
    steps: Positive = 100
    """Batches of rollouts."""
    batch_size: Positive = 64
    """Rollouts in a step."""
    minibatch_size: Positive = 32
    """Rollouts in an update."""
    ppo_epochs: Positive = 2
    """Passes over each batch."""
    learning_rate: Rate = 1e-6
    """The policy's."""
    value_learning_rate: Rate = 1e-5
    """The value head's."""
    kl_coef: Weight = 0.05
    """Weight of the KL penalty to SL-CAI, per token, in the reward."""
    cliprange: Rate = 0.2
    """The ratio is clipped to 1 +- this."""
    cliprange_value: Rate = 0.2
    """The value may move by this in one batch."""
    vf_coef: Weight = 0.1
    """Weight of the value loss."""
    gamma: Fraction = 1.0
    """Discount."""
    lam: Fraction = 0.95
    """GAE's lambda."""
    whiten_rewards: bool = True
    """Scale the preference model's scores to unit variance on SL-CAI's answers before training begins."""
    missing_eos_penalty: Weight = 1.0
    """Taken from the reward of an answer that did not end."""
    temperature: Rate = 1.0
    """Of the rollouts."""
    max_new_tokens: Positive = 128
    """The longest rollout."""
    max_grad_norm: Rate = 1.0
    """Gradients are clipped to this norm."""


class EvaluateConfig(Config):
    """Evaluation on the held-out prompts."""

    grader: str | None = None
    """`module:object`, a Grader that knows the truth about an answer (the miniature world has one)."""
    pairs: Path | None = None
    """JSONL with `prompt`, `a`, `b`: fixed pairs on which labels and preference model are measured against the
    grader."""
    revisions: bool = True
    """Also run the chains of revisions, critiqued and direct, on the held-out prompts."""
    temperature: Weight = 1.0
    """Of the answers."""
    max_new_tokens: Positive = 512
    """The longest answer."""
    bootstrap: Positive = 1000
    """Resamples for the intervals."""


class Recipe(Config):
    """The whole run."""

    name: str = "charter"
    """A name for people."""
    seed: int = 0
    """Every draw derives from it."""
    constitution: Path
    """The constitution's file, or `library:NAME`."""
    prompts: Prompts
    comparisons: Comparisons = Comparisons()
    models: Models
    respond: RespondConfig = RespondConfig()
    revise: ReviseConfig = ReviseConfig()
    sl: SLConfig = SLConfig()
    pair: PairConfig = PairConfig()
    label: LabelConfig = LabelConfig()
    pm: PMConfig = PMConfig()
    rl: RLConfig = RLConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    threads: Positive | None = None
    """Threads for the local engine and training; left out: the number of cores."""
