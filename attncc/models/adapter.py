"""What does a Transformers model call where it attends?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from attncc.errors import MaskNotServed, ModelNotServed
from attncc.models.layer import attend_layer
from attncc.models.masked import attend_masked
from attncc.models.served import layer_launches, thresholds
from attncc.once import say_once
from attncc.widths import widened

#: Arguments that change what attention means; a model that passes one is not served.
STRANGE = {"position_bias": "a bias for each position", "indices": "keys of its own choice", "cache": "paged caches"}


class AttentionModule(Protocol):
    """What is read of a module that attends."""

    config: object


@dataclass(frozen=True, slots=True)
class Layer:
    """What a configuration says of one layer: its number, of how many; whether it is causal, for all that the module
    says; its window, for modules that do not pass it."""

    number: int
    layers: int
    causal: bool
    window: int | None


def attention(
    name: str,
    module: AttentionModule,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    is_causal: bool | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **others: object,
) -> tuple[Tensor, None]:
    """(out [batch, q_len, q_heads, head_dim], None): attention under the implementation `name`, in the protocol of
    Transformers. query is [batch, q_heads, q_len, head_dim], key and value [batch, kv_heads, kv_len, head_dim].

    `attention_mask` is what `attncc.models.masks` made, or one of the user's own; that one is served by PyTorch without
    any pattern, which is said once. Layers that are not causal see every key. Raises ModelNotServed where a model asks
    for what changes the result otherwise (dropout, a bias for each position), MaskNotServed, and what the patterns
    raise.
    """
    _refuse(dropout, others)
    scale = query.shape[3] ** -0.5 if scaling is None else scaling
    if attention_mask is not None and attention_mask.dtype != torch.int32:
        say_once("a mask that is more than order, a window and padding is served by PyTorch, without the pattern")
        return attend_masked(query, key, value, attention_mask, scale, softcap, s_aux), None
    layer = _read(module) if torch.compiler.is_compiling() else _layer(module)
    causal = layer.causal and bool(getattr(module, "is_causal", True) if is_causal is None else is_causal)
    if not causal and softcap is None and s_aux is None:
        return _everything(query, key, value, attention_mask, scale), None
    if not causal:
        raise ModelNotServed("capped scores or sinks in a layer that is not causal", "leave it to 'eager'")
    tokens = None if attention_mask is None else attention_mask[:, 0, 0]
    if tokens is not None and tokens.shape[1] != key.shape[2]:
        raise MaskNotServed(f"it is for {tokens.shape[1]} keys, and the layer has {key.shape[2]}")
    # A sink that is trained is applied outside of kernels, which have no gradient of it.
    trained = s_aux is not None and s_aux.requires_grad and torch.is_grad_enabled()
    sizes = layer.layers, query.shape[1], key.shape[1]
    reached = 0
    for least in thresholds(name):
        if key.shape[2] >= least:
            reached = least
    found = layer_launches(
        name,
        layer.number,
        sizes,
        "decode" if query.shape[2] == 1 else "prefill",
        reached,
        cast("int | None", others.get("sliding_window", layer.window)),
        softcap,
        s_aux is not None and not trained,
    )
    return attend_layer(found, query, key, value, scale=scale, sinks=s_aux, tokens=tokens, owner=module), None


def _refuse(dropout: float, others: dict[str, object]) -> None:
    if dropout:
        raise ModelNotServed("dropout", "set attention_dropout to 0 in its configuration")
    for argument, meaning in STRANGE.items():
        if others.get(argument) is not None:
            raise ModelNotServed(meaning, "leave this model to 'sdpa' or 'eager'")


def _layer(module: AttentionModule) -> Layer:
    """Reading a configuration takes longer than a short call, so it is done once for each module."""
    found = _layers.get(module)
    if found is None:
        found = _layers[module] = _read(module)
    return found


def _read(module: AttentionModule) -> Layer:
    config, number = module.config, getattr(module, "layer_idx", None)
    kinds, window = getattr(config, "layer_types", None), None
    if kinds is not None and number is not None and kinds[number] == "sliding_attention":
        window = getattr(config, "sliding_window", None)
    causal = bool(getattr(config, "is_causal", True))
    return Layer(number or 0, getattr(config, "num_hidden_layers", 1), causal, window)


_layers: WeakKeyDictionary[AttentionModule, Layer] = WeakKeyDictionary()


def _everything(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """Every query sees every key that is valid."""
    width = value.shape[3]
    query, key, value = widened(query, key, value)
    if mask is None:
        return cast(Tensor, torch.ops.attncc.dense(query, key, value, scale=scale)[0]).transpose(1, 2)[..., :width]
    valid = mask[:, 0, 0].to(query.device)
    out, _ = torch.ops.attncc.padded_dense(query, key, value, scale=scale, valid=valid)
    return cast(Tensor, out).transpose(1, 2)[..., :width]
