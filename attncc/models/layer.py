"""How is one layer of a model computed, once it is known which pattern each of its heads has?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from attncc.calls import State
from attncc.models.grouping import Launch, index, taken
from attncc.models.kept import attend_with_role
from attncc.models.rows import attend_rows
from attncc.widths import widened


def attend_layer(
    launches: Sequence[Launch],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    scale: float,
    sinks: Tensor | None = None,
    tokens: Tensor | None = None,
    owner: object = None,
) -> Tensor:
    """The attention of a layer, [batch, q_len, q_heads, head_dim of value], in the dtype of query.

    query is [batch, q_heads, q_len, head_dim], key and value [batch, kv_heads, kv_len, ...]; any head_dim. `sinks`,
    [q_heads], are the sink logits of a model that has them; `tokens`, [batch, kv_len], what lies in the keys, where
    that is not one sequence in each row, see `attncc.models.sequences`; `owner` is the module, where choices are kept
    for its next step. Differentiable, in the sinks too.
    """
    width = value.shape[3]
    query, key, value = widened(query, key, value)
    first, *others = launches
    if not others and first.q_heads is None:
        out = _launch(first, query, key, value, scale, sinks, tokens, owner).transpose(1, 2)
        return out[..., :width] if out.shape[3] != width else out
    out = query.new_empty(query.shape[0], query.shape[2], query.shape[1], query.shape[3])
    for one in launches:
        assert one.q_heads is not None, "one of several launches has some of the heads"
        mine, its, whose = taken(query, one.q_heads), taken(key, one.kv_heads), taken(value, one.kv_heads)
        own = None if sinks is None else taken(sinks[None], one.q_heads)[0]
        out[:, :, index(one.q_heads)] = _launch(one, mine, its, whose, scale, own, tokens, owner).transpose(1, 2)
    return out[..., :width] if out.shape[3] != width else out


def _launch(
    one: Launch,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    sinks: Tensor | None,
    tokens: Tensor | None,
    owner: object,
) -> Tensor:
    inputs = {} if sinks is None or one.sinks is None else {one.sinks: sinks.detach()}
    if one.role is not None:
        out, lse = attend_with_role(one, owner, query, key, value, scale, inputs, tokens)
    elif tokens is None:
        # By name: compilers take it from there for a constant.
        op = getattr(torch.ops.attncc, one.op).default
        out, lse = cast(State, op(query, key, value, *one.values, scale=scale, **inputs))
    else:
        out, lse = attend_rows(query, key, value, tokens, one.name, scale, list(inputs.values()))
    if sinks is not None and not inputs:
        # exp(lse) is the sum of a row without the sink. This is differentiated; kernels have no gradient of inputs.
        out = (out * torch.sigmoid(lse - sinks[:, None]).unsqueeze(-1)).to(out.dtype)
    return out
