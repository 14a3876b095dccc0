"""What can stand where a model calls `scaled_dot_product_attention`?"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from attncc.functional import attention
from attncc.nn.unserved import unserved
from attncc.once import say_once
from attncc.pattern import Pattern, resolve
from attncc.widths import widened

SDPA = torch.nn.functional.scaled_dot_product_attention


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    pattern: Pattern | str | None = None,
) -> Tensor:
    """What `torch.nn.functional.scaled_dot_product_attention` returns, by a generated kernel; its arguments, and a
    `pattern` that takes the place of the causal mask, or of no mask.

    query is [..., q_heads, q_len, head_dim], key and value [..., kv_heads, kv_len, ...], with as many heads unless
    `enable_gqa`. As in PyTorch, a causal mask is aligned at the first key: query i sees the keys up to i. A pattern is
    aligned at the end, so that a single query against a cache is its last row; causal calls with more keys than
    queries leave out those that no query may see. `attn_mask` is served where it is bool and the same for all queries
    and heads, as padding is.

    What cannot be served goes to PyTorch as it is, which is said once for each reason: other masks, dropout, other
    element types or devices, head_dim above 256, and where a pattern is given, more queries than keys. Raises what
    loading the pattern raises.
    """
    wanted = None if pattern is None else resolve(pattern)
    reason = unserved(query, key, value, attn_mask, dropout_p, is_causal, enable_gqa, wanted)
    if reason is not None:
        say_once(f"scaled_dot_product_attention goes to PyTorch{', without the pattern' if wanted else ''}: {reason}")
        return SDPA(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    wide_query, wide_key, wide_value = widened(*map(_four, (query, key, value)))
    out = _attend(wide_query, wide_key, wide_value, attn_mask, is_causal, factor, wanted)
    return out[..., : value.shape[-1]].reshape(*query.shape[:-1], value.shape[-1])


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None,
    is_causal: bool,
    scale: float,
    pattern: Pattern | None,
) -> Tensor:
    q_len, kv_len, ops = query.shape[2], key.shape[2], torch.ops.attncc
    if attn_mask is not None:
        valid = attn_mask.reshape(-1, kv_len).expand(query.shape[0], kv_len)
        return cast(Tensor, ops.padded_dense(query, key, value, scale=scale, valid=valid)[0])
    if is_causal and q_len < kv_len:
        key, value = key[:, :, :q_len], value[:, :, :q_len]
    if pattern is not None:
        return attention(query, key, value, pattern, scale=scale)
    if not is_causal:
        return cast(Tensor, ops.dense(query, key, value, scale=scale)[0])
    out = cast(Tensor, ops.causal(query[:, :, :kv_len], key, value, scale=scale)[0])
    if q_len <= kv_len:
        return out
    # Queries behind the last key see all of them.
    return torch.cat([out, ops.dense(query[:, :, kv_len:], key, value, scale=scale)[0]], 2)


def _four(tensor: Tensor) -> Tensor:
    """[batch, heads, len, head_dim], all leading dimensions made into one."""
    if tensor.dim() < 4:
        return tensor[(None,) * (4 - tensor.dim())]
    return tensor if tensor.dim() == 4 else tensor.flatten(0, -4)
