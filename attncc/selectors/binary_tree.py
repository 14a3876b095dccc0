"""binary_tree: groups of units, halved again and again, of whose halves the better ones stay (HiP v1.1, arXiv
2406.09827).

The units before the window are cut into as many equal groups as `keep` keys have units. Every group is halved; a half
is scored by one of its units, in its center or the first (`representative`): the largest product of a key of that unit
with the last of every `stride` rows of the row block. Of all halves the best ones stay, as many as there were groups,
until they are single units. These have their last score, other units minus infinity; if there are no more than `keep`
keys, all stay. Ties go to the smaller unit.

Which halves stay is decided by `each` query head, by those of a KV head (`share: group`), or by `all`; the largest
score counts. The first `sink` keys are left out, as far as they fill units, and, where the choice is causal, the keys
that the last row of the block sees within `window`; keys after it are never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor

from attncc.ir.selection import OptionValue
from attncc.selectors.halving import best_of, halvings, largest, per_query_head, plain_together, together
from attncc.selectors.row_blocks import groups, number, pieces, plain_stop, rows_each, samples, stops, word
from attncc.selectors.score import Call, Scores

OPTIONS: Mapping[str, OptionValue | None] = {
    "keep": 512,
    "stride": 2,
    "representative": "center",
    "share": "each",
    "sink": 16,
    "window": 256,
}
CHOICES: Mapping[str, tuple[OptionValue, ...]] = {
    "representative": ("center", "first"),
    "share": ("all", "group", "each"),
}


def device(call: Call) -> Scores:
    batch, q_heads, _, head_dim = call.query.shape
    key = call.key.contiguous()
    sampled = -(-rows_each(call) // number(call, "stride"))
    each = batch * q_heads * max(4 * number(call, "keep"), sampled * head_dim)

    def scores(part: range) -> Tensor:
        return torch.cat([_scores(call, key, blocks) for blocks in pieces(part, each)], 2)

    return scores


def plain(call: Call) -> Scores:
    def scores(part: range) -> Tensor:
        found = [
            torch.stack([_plain_block(call, batch, block) for block in part], 1) for batch in range(call.query.shape[0])
        ]
        return torch.stack(found)

    return scores


def _begin(call: Call) -> int:
    """The first unit that is searched."""
    return number(call, "sink") // call.geometry.size


def _count(call: Call) -> int:
    return max(1, number(call, "keep") // call.geometry.size)


def _center(call: Call) -> bool:
    where = word(call, "representative")
    assert where in ("center", "first"), "the representative is center or first"
    return where == "center"


def _scores(call: Call, key: Tensor, part: range) -> Tensor:
    (batch, q_heads), kv_heads, share = call.query.shape[:2], key.shape[1], word(call, "share")
    size, count = call.geometry.size, _count(call)
    stop = stops(call, part, key.device) - (number(call, "window") if call.causal else 0)
    units = (-(-stop // size) - _begin(call)).clamp(min=0)[:, None]
    query, center = samples(call, part, number(call, "stride")), _center(call)
    widest = -(-plain_stop(call, part[-1]) // size)
    edges = units * torch.arange(count + 1, device=key.device) // count + _begin(call)
    edges = edges.expand(batch, q_heads if share == "each" else kv_heads, -1, -1)
    low, high = edges[..., :-1], edges[..., 1:]
    score = torch.empty(0)
    for _ in range(halvings(-(-widest // count))):
        middle = (low + high) // 2
        low, high = (torch.stack(pair, -1).flatten(-2) for pair in ((low, middle), (middle, high)))
        unit = (low + high) // 2 if center else low
        score = _unit_scores(query, key, unit, size, stop)
        score = score.masked_fill(per_query_head(low >= high, q_heads), -torch.inf)
        best = best_of(together(score, share, kv_heads), count)
        low, high, score = low.gather(-1, best), high.gather(-1, best), score.gather(-1, per_query_head(best, q_heads))
    out = torch.full((batch, q_heads, len(part), call.units + 1), -torch.inf, device=key.device)
    place = per_query_head(torch.where(low < high, low, call.units), q_heads)
    return out.scatter_(-1, place, score)[..., : call.units]


def _unit_scores(query: Tensor, key: Tensor, unit: Tensor, size: int, stop: Tensor) -> Tensor:
    """The largest product of a key of a unit, before the stop of its row block: [batch, q_heads, blocks, units]."""
    position = unit.unsqueeze(-1) * size + torch.arange(size, device=key.device)
    position = position.minimum(stop[:, None, None] - 1).clamp(min=0).flatten(-2)
    most: Tensor = largest(query, None, key, position).unflatten(-1, (-1, size))
    return most.amax(-1)


def _plain_block(call: Call, batch: int, block: int) -> Tensor:
    stop = plain_stop(call, block) - (number(call, "window") if call.causal else 0)
    begin, count, (q_heads, kv_heads) = _begin(call), _count(call), (call.query.shape[1], call.key.shape[1])
    units = max(0, -(-stop // call.geometry.size) - begin)
    product = _plain_units(call, batch, block, stop)
    edges = [begin + units * group // count for group in range(count + 1)]
    halves = [list(pairwise(edges))] * q_heads
    while any(high - low > 1 for mine in halves for low, high in mine):
        halves = [_plain_halves(mine) for mine in halves]
        scores = [
            {half: product[head][sum(half) // 2 if _center(call) else half[0]] for half in halves[head]}
            for head in range(q_heads)
        ]
        deciding = plain_together(scores, word(call, "share"), kv_heads)
        halves = [sorted(sorted(score, key=lambda half: (-score[half], half))[:count]) for score in deciding]
    out = torch.full((q_heads, call.units), -torch.inf, dtype=torch.float64)
    for head in range(q_heads):
        for low, high in halves[head]:
            if low < high:
                out[head, low] = product[head][low]
    return out


def _plain_halves(groups: list[tuple[int, int]]) -> list[tuple[int, int]]:
    cut = [(low, (low + high) // 2, high) for low, high in groups]
    halves = [half for low, middle, high in cut for half in ((low, middle), (middle, high))]
    return [(low, high) for low, high in halves if low < high]


def _plain_units(call: Call, batch: int, block: int, stop: int) -> list[list[float]]:
    """The largest product of each unit's keys before `stop` with the sampled rows, for each query head."""
    query, key = call.query[batch].double() * call.scale, call.key[batch].double()
    sampled = [rows[-1] for rows in groups(call, block, number(call, "stride"))]
    owner = torch.arange(query.shape[0]) * key.shape[0] // query.shape[0]
    product = (query[:, sampled] @ key[owner].transpose(-1, -2)).amax(1)
    units = [slice(first, first + call.geometry.size) for first in range(0, stop, call.geometry.size)]
    return [[max(row[unit].tolist()) for unit in units] for row in product[:, : max(0, stop)]]
