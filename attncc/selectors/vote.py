"""vote: each head shares one vote out among the keys, by a softmax for the mean query of the row block (TokenSelect,
arXiv 2411.02886).

The mean of the rows of a row block asks all keys that its last row sees; its softmax over them, the largest within
`pool` neighbouring keys (an odd number; 1: the key's own), is the key's score, and the sum over its keys that of a
unit. Summed over all heads (`heads: all_sum`), no head outvotes another because its products are larger.

The first `sink` keys and, where the choice is causal, those that the last row sees within `window`, are not voted on;
a unit of such keys alone scores minus infinity.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import max_pool1d, pad

from attncc.ir.selection import OptionValue
from attncc.selectors.every_key import products, unseen
from attncc.selectors.row_blocks import (
    averages,
    left_out,
    members,
    number,
    pieces,
    plain_left_out,
    plain_stop,
    rows_each,
)
from attncc.selectors.score import Call, Scores

OPTIONS: Mapping[str, OptionValue | None] = {"pool": 1, "sink": 0, "window": 0}


def device(call: Call) -> Scores:
    def scores(part: range) -> Tensor:
        each = call.query.shape[0] * call.query.shape[1] * max(call.kv_len, rows_each(call) * call.query.shape[3])
        return torch.cat([_votes(call, blocks) for blocks in pieces(part, each)], 2)

    return scores


def plain(call: Call) -> Scores:
    reach, size = _pool(call) // 2, call.geometry.size

    def block_votes(block: int) -> Tensor:
        rows, stop = members(call, block), plain_stop(call, block)
        known = sorted(set(range(stop)) - plain_left_out(call, block))
        query = call.query[:, :, rows.start - call.kv_len + call.q_len : rows.stop - call.kv_len + call.q_len].double()
        key = call.key.double().repeat_interleave(call.query.shape[1] // call.key.shape[1], 1)
        weight = torch.zeros(*key.shape[:3], dtype=torch.float64)
        product = query.mean(2, keepdim=True) @ key[:, :, known].transpose(-1, -2) * call.scale
        weight[..., known] = product.softmax(-1).squeeze(2)
        votes = torch.full((*weight.shape[:2], call.units), -torch.inf, dtype=torch.float64)
        for unit in {kv // size for kv in known}:
            mine = [kv for kv in known if kv // size == unit]
            votes[..., unit] = sum(weight[..., max(0, kv - reach) : kv + reach + 1].amax(-1) for kv in mine)
        return votes

    return lambda part: torch.stack([block_votes(block) for block in part], 2)


def _pool(call: Call) -> int:
    pool = number(call, "pool")
    assert pool % 2 == 1, "the neighbourhood of a key is as wide before it as after it"
    return pool


def _votes(call: Call, part: range) -> Tensor:
    query = averages(call, part, rows_each(call))[0].squeeze(3)
    unknown = unseen(call, part) | left_out(call, part, 1)
    weight = products(query, call.key).masked_fill_(unknown, -torch.inf).softmax(-1)
    weight = weight.masked_fill(unknown, 0.0)
    pool, size = _pool(call), call.geometry.size
    if pool > 1:
        weight = max_pool1d(weight.flatten(0, 2), pool, 1, pool // 2).view(weight.shape).masked_fill(unknown, 0.0)
    votes: Tensor = pad(weight, (0, -call.kv_len % size)).unflatten(-1, (-1, size))
    return votes.sum(-1).masked_fill(left_out(call, part, size), -torch.inf)
