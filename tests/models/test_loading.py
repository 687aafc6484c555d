from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from charter.core.errors import InputError
from charter.models.loading import end_ids, is_reward_model, load_causal_lm, load_reward_model, load_tokenizer
from models.tiny import model, tokenizer


def test_a_folder_round_trips(folder: Path) -> None:
    loaded = load_causal_lm(folder)
    assert not loaded.training
    for name, weight in model("llama").state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name].cpu(), weight)
    assert load_tokenizer(folder).chat_template == tokenizer().chat_template
    assert load_causal_lm(str(folder), "bfloat16", "cpu").dtype == torch.bfloat16


def test_a_preference_model_is_told_from_a_language_model(folder: Path, reward_folder: Path) -> None:
    assert is_reward_model(reward_folder)
    assert not is_reward_model(folder)
    assert load_reward_model(reward_folder).config.num_labels == 1
    with pytest.raises(InputError, match="not a preference model"):
        load_reward_model(folder)
    with pytest.raises(InputError, match="not a causal language model: the weights lack lm_head"):
        load_causal_lm(reward_folder)


@pytest.mark.parametrize("load", [load_causal_lm, load_reward_model, load_tokenizer])
def test_a_folder_that_is_not_a_model(load: object, tmp_path: Path) -> None:
    assert callable(load)
    with pytest.raises(InputError, match="no such model folder") as missing:
        load(tmp_path / "nowhere")
    assert missing.value.where == str(tmp_path / "nowhere")
    assert missing.value.cure
    with pytest.raises(InputError, match=r"no config\.json"):
        load(tmp_path)


def test_weights_that_could_run_code_are_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "config.json", tmp_path)
    torch.save(model("llama").state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="no weights in safetensors"):
        load_causal_lm(tmp_path)


def test_a_broken_config_is_one_clear_message(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_causal_lm(tmp_path)


@pytest.mark.parametrize(
    ("lacks", "message"),
    [("chat_template", "chat template"), ("pad_token", "padding token"), ("eos_token", "end-of-sequence")],
)
def test_a_tokenizer_that_lacks_something(lacks: str, message: str, folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "config.json", tmp_path)
    tokenizer(**{lacks: None}).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        load_tokenizer(tmp_path)
    assert error.value.cure


def test_a_device_that_is_not_there(folder: Path) -> None:
    with pytest.raises(InputError, match="device 'no-such-device'"):
        load_causal_lm(folder, device="no-such-device")


def test_answers_end_with_the_tokenizers_token_and_the_generation_configs(folder: Path) -> None:
    a_model, tok = model("llama"), tokenizer()
    a_model.generation_config.eos_token_id = [4, 1]
    assert end_ids(a_model, tok) == (1, 4)
    a_model.generation_config.eos_token_id = None
    assert end_ids(a_model, tok) == (1,)
