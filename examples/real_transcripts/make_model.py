"""A small Llama and its BPE tokenizer, both made from a file of Human/Assistant transcripts and from nothing else.

    python make_model.py TRANSCRIPTS OUT [--limit 200] [--steps 80] [--seed 0]

It learns the look of the transcripts, not English: enough to take real text through every stage on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from charter.core.records import Conversation, Preference, assistant
from charter.models.chat import encode_answer
from charter.prompts import load_comparisons

PAD, EOS, HUMAN, ASSISTANT = "<pad>", "<eos>", "\n\nHuman: ", "\n\nAssistant: "
# The text of the transcripts itself, character for character; the markers are one token each.
TEMPLATE = (
    "{% set markers = {'user': '\\n\\nHuman: ', 'assistant': '\\n\\nAssistant: '} %}"
    "{% for m in messages %}{{ markers[m.role] + m.content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ markers.assistant }}{% endif %}"
)
VOCABULARY, CONTEXT, WINDOW, ROWS, LEARNING_RATE = 2048, 2048, 512, 8, 2e-3


def whole(pair: Preference) -> Conversation:
    """The chosen conversation of a pair, to its end."""
    return (*pair.comparison.prompt.messages, assistant(pair.comparison.a))


def make_tokenizer(conversations: Sequence[Conversation]) -> PreTrainedTokenizerFast:
    """Byte-level BPE of what was said: no text is unknown to it."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, EOS, HUMAN, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator((m.content for conversation in conversations for m in conversation), trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=inner,
        pad_token=PAD,
        eos_token=EOS,
        additional_special_tokens=[HUMAN, ASSISTANT],
        chat_template=TEMPLATE,
    )


def make_model(conversations: Sequence[Conversation], out: Path, *, steps: int, seed: int = 0, width: int = 128) -> int:
    """Write the folder of a model trained for `steps` batches of windows of text; returns the number of tokens of the
    text. The model ends an answer with `<eos>` or where the next Human turn begins."""
    tokenizer = make_tokenizer(conversations)
    rows = [encode_answer(tokenizer, talk[:-1], talk[-1].content) for talk in conversations]
    text = torch.tensor([token for prompt, answer in rows for token in (*prompt, *answer)])
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=8 * width // 3,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(HUMAN)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=max(steps, 2))
    window = min(WINDOW, len(text))
    for _ in range(steps):
        starts = torch.randint(len(text) - window + 1, (ROWS,))
        batch = torch.stack([text[start : start + window] for start in starts])
        model(input_ids=batch, labels=batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return len(text)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("transcripts", type=Path, help="rows with `chosen` and `rejected` transcripts (.jsonl, .gz)")
    parser.add_argument("out", type=Path, help="the model's folder")
    parser.add_argument("--limit", type=int, help="use the first so many conversations")
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    disable_progress_bar()  # type: ignore[no-untyped-call]
    conversations = [whole(pair) for pair in load_comparisons(asked.transcripts, limit=asked.limit)]
    tokens = make_model(conversations, asked.out, steps=asked.steps, seed=asked.seed)
    print(f"{asked.out}: made from {len(conversations):,} conversations, {tokens:,} tokens")


if __name__ == "__main__":
    main()
