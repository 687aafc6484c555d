"""The forward pass of Llama and of the models built like it, for sampling alone.

It computes what the library's does, with fewer and smaller steps: the rotations are tabulated, the sums with the
residual stream are part of the matrix products, grouped heads are not repeated, the last layer is computed for the
last position alone, and attention skips padding: prompts attend row by row, decoded tokens in parts of rows of like
length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaForCausalLM, LlamaRMSNorm
from transformers.models.mistral.modeling_mistral import MistralDecoderLayer, MistralForCausalLM, MistralRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer, Qwen2ForCausalLM, Qwen2RMSNorm

from charter.models.cache import InPlaceCache, InPlaceLayer, IntArray
from charter.models.decoding import View, full_attention, neighbours

MODELS = (LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM)
LAYERS = (LlamaDecoderLayer, MistralDecoderLayer, Qwen2DecoderLayer)
NORMS = (LlamaRMSNorm, MistralRMSNorm, Qwen2RMSNorm)
STATIC_ROPE = ("default", "linear", "llama3", "yarn")  # the others depend on the length of the sequence


def suits(model: Any) -> bool:
    """Whether a model is exactly one of those: its classes, plain linear layers (no adapter, no quantisation), full
    attention by the standard kernel, and nothing hooked into it."""
    if type(model) not in MODELS or model.config._attn_implementation != "sdpa" or not full_attention(model):
        return False
    if model.config.rope_parameters.get("rope_type", "default") not in STATIC_ROPE:
        return False
    body = model.model
    linear = [module for layer in body.layers for module in _linear(layer)] + [model.lm_head]
    norms = [norm for layer in body.layers for norm in (layer.input_layernorm, layer.post_attention_layernorm)]
    return (
        all(type(module) is nn.Linear for module in linear)
        and all(type(layer) in LAYERS for layer in body.layers)
        and all(type(norm) in NORMS for norm in (*norms, body.norm))
        and type(body.embed_tokens) is nn.Embedding
        and not any(_hooked(module) for module in model.modules())
    )


def _linear(layer: Any) -> list[Any]:
    attention, mlp = layer.self_attn, layer.mlp
    names = ("q_proj", "k_proj", "v_proj", "o_proj")
    return [*(getattr(attention, name) for name in names), mlp.gate_proj, mlp.up_proj, mlp.down_proj]


def _hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))


@dataclass(frozen=True, slots=True)
class _Norm:
    weight: Tensor
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.epsilon)


class _Layer:
    """The weights of one layer, and its place in the cache."""

    def __init__(self, layer: Any, store: InPlaceLayer) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.store, self.act = store, mlp.act_fn
        self.q, self.k, self.v, self.o, self.gate, self.up, self.down = (
            (module.weight, module.bias) for module in _linear(layer)
        )
        self.before_attention, self.before_mlp = map(_norm, (layer.input_layernorm, layer.post_attention_layernorm))
        self.size, self.scale = attention.head_dim, attention.scaling
        self.key_heads = attention.k_proj.out_features // self.size

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [..., heads, head size] of positions x [..., width]; the first two rotated."""
        h = self.before_attention(x)
        queries, keys, values = (
            F.linear(h, *weights).view(*x.shape[:-1], -1, self.size) for weights in (self.q, self.k, self.v)
        )
        return _rotate(queries, cos, sin), _rotate(keys, cos, sin), values

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Output projection and feed-forward part of the positions x [n, width]; attended [n, all heads]."""
        x = _add_linear(x, attended, self.o)
        h = self.before_mlp(x)
        return _add_linear(x, self.act(F.linear(h, *self.gate)).mul_(F.linear(h, *self.up)), self.down)


def _norm(module: Any) -> _Norm:
    return _Norm(module.weight, module.variance_epsilon)


def _add_linear(x: Tensor, y: Tensor, weights: tuple[Tensor, Tensor | None]) -> Tensor:
    weight, bias = weights
    total = torch.addmm(x, y, weight.T)
    return total if bias is None else total.add_(bias)


class LlamaPass:
    """A `decoding.Pass`."""

    def __init__(self, model: Any, cache: InPlaceCache) -> None:
        body, columns = model.model, cache.shape.columns
        self.embedding, self.head = body.embed_tokens.weight, (model.lm_head.weight, model.lm_head.bias)
        self.layers = [_Layer(layer, store) for layer, store in zip(body.layers, cache.stores, strict=True)]
        self.norm = _norm(body.norm)
        cos, sin = body.rotary_emb(self.embedding, torch.arange(columns, device=model.device)[None])
        self.cos, self.sin = cos[0, :, None], sin[0, :, None, : sin.shape[-1] // 2]  # [position, 1, head size or half]

    def prefill(self, rows: IntArray, ids: Tensor, starts: IntArray, filled: int) -> Tensor:
        """Read prompts, or what follows the part that the cache holds already."""
        length = ids.shape[1]
        where, begin = neighbours(rows, ids.device), torch.from_numpy(starts).to(ids.device)
        positions = (torch.arange(filled, filled + length, device=ids.device) - begin[:, None]).clamp_(min=0)
        cos, sin = self.cos[positions], self.sin[positions]
        x = F.embedding(ids, self.embedding)
        for layer in self.layers:
            queries, keys, values = (y.transpose(1, 2) for y in layer.project(x, cos, sin))
            layer.store.write(where, filled, keys, values)
            if layer is self.layers[-1]:  # nothing follows that needs the other positions
                queries, x = queries[:, :, -1:], x[:, -1:]
            attended = _attend_rows(layer, queries, where, rows, starts, filled + length)
            x = layer.finish(x.flatten(0, 1), attended.transpose(1, 2).flatten(2).flatten(0, 1)).view(x.shape)
        return F.linear(self.norm(x[:, -1]), *self.head)

    def decode(self, tokens: Tensor, view: View, filled: int) -> Tensor:
        """Read one token per row. Query heads that share a key head are the queries of one attention."""
        positions = view.positions(filled)
        cos, sin = self.cos[positions], self.sin[positions]
        x = F.embedding(tokens, self.embedding)
        for layer in self.layers:
            queries, keys, values = layer.project(x, cos, sin)
            layer.store.write(slice(0, len(tokens)), filled, keys[:, :, None], values[:, :, None])
            queries = queries.reshape(len(tokens), layer.key_heads, -1, layer.size)
            x = layer.finish(x, _attend_parts(layer, queries, view, filled + 1).flatten(1))
        return F.linear(self.norm(x), *self.head)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions of x [..., heads, head size]: pairs are the first and the second half of a head."""
    half = x.shape[-1] // 2
    rotated = x * cos
    rotated[..., :half].addcmul_(x[..., half:], sin, value=-1)
    rotated[..., half:].addcmul_(x[..., :half], sin)
    return rotated


def _attend_parts(layer: _Layer, queries: Tensor, view: View, end: int) -> Tensor:
    """Attention of one token per row: queries [rows, key heads, group, head size]."""
    attended = torch.empty_like(queries) if len(view.parts) > 1 else None
    for part in view.parts:
        keys, values = (buffer[part.rows, :, part.first : end] for buffer in (layer.store.keys, layer.store.values))
        mask = view.additive[part.rows, ..., part.first : end] if part.padded else None
        result = F.scaled_dot_product_attention(queries[part.rows], keys, values, mask, scale=layer.scale)
        if attended is None:
            return result
        attended[part.rows] = result
    assert attended is not None, "a batch has rows"
    return attended


def _attend_rows(
    layer: _Layer, queries: Tensor, where: slice | Tensor, rows: IntArray, starts: IntArray, end: int
) -> Tensor:
    """Causal attention of the last tokens of each row: queries [rows, heads, tokens, head size], where what lies before
    a row's start is padding (its output is not used)."""
    if isinstance(where, slice) and bool((starts == starts[0]).all()):
        return _causal(layer, queries, where, int(starts[0]), end)
    attended = torch.zeros_like(queries)
    for i, (row, start) in enumerate(zip(rows.tolist(), starts.tolist(), strict=True)):
        padding = max(0, start - (end - queries.shape[2]))
        part = slice(i, i + 1), slice(None), slice(padding, None)
        attended[part] = _causal(layer, queries[part], slice(row, row + 1), start, end)
    return attended


def _causal(layer: _Layer, queries: Tensor, rows: slice, start: int, end: int) -> Tensor:
    """The queries are the last of the columns from `start` to `end`."""
    keys, values = (buffer[rows, :, start:end] for buffer in (layer.store.keys, layer.store.values))
    count, length = queries.shape[2], end - start
    mask = None
    if 1 < count < length:
        mask = torch.ones(count, length, dtype=torch.bool, device=queries.device).tril(length - count)
    grouped = queries.shape[1] != keys.shape[1]
    return F.scaled_dot_product_attention(
        queries, keys, values, mask, is_causal=1 < count == length, scale=layer.scale, enable_gqa=grouped
    )
