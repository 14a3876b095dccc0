"""last_queries: the attention that the last queries of a call pay, summed over them (MInference, arXiv 2407.02490).

Each of the last `queries` queries has a softmax over the keys that it sees. A unit of keys gets the sum of its columns,
a distance the sum of its diagonal, the pairs with q - kv equal to it. Columns and diagonals that fewer queries meet
are not scaled up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from attncc.ir.selection import OptionValue
from attncc.selectors.blocks import MOST_NUMBERS, by_block, products
from attncc.selectors.score import Call, Scores

OPTIONS: Mapping[str, OptionValue | None] = {"queries": 64}


def device(call: Call) -> Scores:
    def scores(part: range) -> Tensor:
        heads = [_of_head(call, head) for head in range(call.key.shape[1])]
        return torch.cat(heads, 1)[:, :, None].expand(-1, -1, len(part), -1)

    return scores


def _of_head(call: Call, head: int) -> Tensor:
    """The scores for the query heads of one KV head: [batch, group, units]."""
    diagonal = call.geometry.step is not None
    total = torch.zeros((), device=call.query.device)
    for first, weight in _weights(call, head):
        total = total + (_diagonals(weight, first) if diagonal else weight.sum(-2))
    if diagonal:
        return total
    return by_block(total[..., None], 0, call.geometry.size, lambda keys: keys.sum(-2))[..., 0]


def _weights(call: Call, head: int) -> Iterator[tuple[int, Tensor]]:
    """(position of the first query, [batch, group, some queries, kv_len]) for the query heads of one KV head."""
    batch, q_heads = call.query.shape[:2]
    group = q_heads // call.key.shape[1]
    key = call.key[:, head : head + 1].float()
    query = call.query[:, head * group : (head + 1) * group]
    step = max(1, MOST_NUMBERS // (batch * group * call.kv_len))
    kv = torch.arange(call.kv_len, device=key.device)
    for lo in range(max(0, call.q_len - int(call.options["queries"])), call.q_len, step):
        score = products(query[:, :, lo : lo + step].float(), key) * call.scale
        if call.causal:
            q = torch.arange(score.shape[2], device=key.device) + call.first + lo
            score.masked_fill_(kv > q[:, None], -torch.inf)
        # Queries before the first key see nothing.
        yield call.first + lo, score.softmax(-1).nan_to_num_(0.0)


def _diagonals(weight: Tensor, first: int) -> Tensor:
    """The sums of [..., n, kv_len] over q - kv = 0, 1, ..., kv_len - 1, where row i is q = first + i: [..., kv_len]."""
    n, kv_len = weight.shape[-2:]
    before = kv_len - 1 - first
    wide = torch.nn.functional.pad(weight, (before, max(0, n - 1 - before)))
    width = wide.shape[-1]
    # Place m of row i is the key first + i - (kv_len - 1 - m): each row starts one further to the right.
    strides = (*wide.stride()[:-2], width + 1, 1)
    return wide.as_strided((*wide.shape[:-2], n, kv_len), strides).sum(-2).flip(-1)


def plain(call: Call) -> Scores:
    batch, q_heads = call.query.shape[:2]
    group = q_heads // call.key.shape[1]

    def scores(part: range) -> Tensor:
        found = torch.zeros(batch, q_heads, call.units, dtype=torch.float64)
        for b in range(batch):
            for h in range(q_heads):
                for i in range(max(0, call.q_len - int(call.options["queries"])), call.q_len):
                    _add(call, found[b, h], call.first + i, call.query[b, h, i], call.key[b, h // group])
        return found[:, :, None].expand(-1, -1, len(part), -1)

    return scores


def _add(call: Call, found: Tensor, q: int, query: Tensor, key: Tensor) -> None:
    """Adds the attention that the query at position q pays to the units it pays it to."""
    seen = max(0, q + 1) if call.causal else call.kv_len
    weight = (key[:seen].double() @ query.double() * call.scale).softmax(-1)
    for kv in range(seen):
        unit = kv // call.geometry.size if call.geometry.step is None else q - kv
        if 0 <= unit < call.units:
            found[unit] += weight[kv]
