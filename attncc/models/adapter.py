"""What does a Transformers model call where it attends?"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Protocol, cast

import torch
from torch import Tensor

from attncc.errors import MaskNotServed, ModelNotServed
from attncc.models.layer import attend_layer, widened
from attncc.models.masked import attend_masked
from attncc.models.served import layer_launches, thresholds

#: Arguments that change what attention means; a model that passes one is not served.
STRANGE = {"position_bias": "a bias for each position", "indices": "keys of its own choice", "cache": "paged caches"}


class Config(Protocol):
    """What is read of a model's configuration."""

    num_hidden_layers: int


class AttentionModule(Protocol):
    """What is read of a module that attends."""

    config: Config


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
        _say_once("a mask that is more than order, a window and padding is served by PyTorch, without the pattern")
        return attend_masked(query, key, value, attention_mask, scale, softcap, s_aux), None
    causal = _causal(module, is_causal)
    if not causal and softcap is None and s_aux is None:
        return _everything(query, key, value, attention_mask, scale), None
    if not causal:
        raise ModelNotServed("capped scores or sinks in a layer that is not causal", "leave it to 'eager'")
    tokens = None if attention_mask is None else attention_mask[:, 0, 0]
    if tokens is not None and tokens.shape[1] != key.shape[2]:
        raise MaskNotServed(f"it is for {tokens.shape[1]} keys, and the layer has {key.shape[2]}")
    # A sink that is trained is applied outside of kernels, which have no gradient of it.
    trained = s_aux is not None and s_aux.requires_grad and torch.is_grad_enabled()
    sizes = module.config.num_hidden_layers, query.shape[1], key.shape[1]
    reached = 0
    for least in thresholds(name):
        if key.shape[2] >= least:
            reached = least
    found = layer_launches(
        name,
        cast(int, getattr(module, "layer_idx", 0)),
        sizes,
        "decode" if query.shape[2] == 1 else "prefill",
        reached,
        _window(module, others),
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


def _causal(module: AttentionModule, is_causal: bool | None) -> bool:
    own = getattr(module, "is_causal", True) if is_causal is None else is_causal
    return bool(own) and bool(getattr(module.config, "is_causal", True))


def _window(module: AttentionModule, others: dict[str, object]) -> int | None:
    """The window of the layer: what it passes, or where it passes none, what its configuration says."""
    if "sliding_window" in others:
        return cast("int | None", others["sliding_window"])
    kinds, layer = getattr(module.config, "layer_types", None), getattr(module, "layer_idx", None)
    if kinds is None or layer is None or kinds[layer] != "sliding_attention":
        return None
    return cast("int | None", getattr(module.config, "sliding_window", None))


def _everything(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """Every query sees every key that is valid."""
    width = value.shape[3]
    query, key, value = widened(query, key, value)
    if mask is None:
        return cast(Tensor, torch.ops.attncc.dense(query, key, value, scale=scale)[0]).transpose(1, 2)[..., :width]
    valid = mask[:, 0, 0].to(query.device)
    out, _ = torch.ops.attncc.padded_dense(query, key, value, scale=scale, valid=valid)
    return cast(Tensor, out).transpose(1, 2)[..., :width]


@cache
def _say_once(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=2)
