"""A tiny random model with a word-level tokenizer and a chat template."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

TEXT = "how do i the a b c bad good fine lock key steal open please no yes help cake bake red blue green one two"
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}> {{ m.content }} {% if m.role == 'assistant' %}<eos> {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an untrained Llama: width 32, two layers."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<pad>", "<eos>", "<unk>", "<system>", "<user>", "<assistant>"]
    vocabulary = {word: i for i, word in enumerate([*special, *TEXT.split()])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", chat_template=TEMPLATE
    )
    tokenizer.add_special_tokens({"additional_special_tokens": special[3:]})
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        initializer_range=0.05,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    state = torch.get_rng_state()
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    torch.set_rng_state(state)
    folder = tmp_path_factory.mktemp("models") / "base"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
