"""staged: chunks of keys, searched by halves for their best key, pruned and cut into smaller ones: three times (HiP
v1.2, InfiniteHiP, arXiv 2502.08910).

The queries of a row block are averaged, `stride` at a time (`stride_last` in the last stage). A chunk is halved down
to one key; the middle key of each half stands for it, the larger product with any of the averages wins, ties go right,
and the chunk's score is the largest that won. The best chunks, as many as `keep_first` and then `keep_middle` keys
fill, go on, cut into chunks of `middle` keys and then into units; units that do not get that far score minus infinity.

Which chunks go on is decided by all query heads together (`share: all`), by those of a KV head (`group`), or by `each`
head; the largest score counts. The first `sink` keys are left out, as far as they fill units, and, where the choice is
causal, the keys that the last row of the block sees within `window`; keys after it are never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from attncc.ir.selection import OptionValue
from attncc.selectors.halving import best_of, halvings, largest, per_query_head, plain_together, together
from attncc.selectors.row_blocks import averages, groups, number, pieces, plain_stop, rows_each, stops, word
from attncc.selectors.score import Call, Scores

OPTIONS: Mapping[str, OptionValue | None] = {
    "chunk": 256,
    "middle": 32,
    "keep_first": 32768,
    "keep_middle": 8192,
    "stride": 4,
    "stride_last": 1,
    "share": "all",
    "sink": 256,
    "window": 1024,
}
CHOICES: Mapping[str, tuple[OptionValue, ...]] = {"share": ("all", "group", "each")}


@dataclass(frozen=True, slots=True)
class Stage:
    """`keep` chunks of `chunk` keys go on to the next stage, those with the largest scores; None: all are scored."""

    chunk: int
    stride: int
    keep: int | None


def stages(call: Call) -> tuple[Stage, Stage, Stage]:
    """The stages of a call, coarse to fine; the chunks of the last are its units."""
    chunk, middle, unit = number(call, "chunk"), number(call, "middle"), call.geometry.size
    assert call.geometry.step is None, "distances are not keys"
    assert chunk % middle == 0, "chunks are cut into whole chunks"
    assert middle % unit == 0, "chunks are cut into whole units"
    stride = number(call, "stride")
    return (
        Stage(chunk, stride, max(1, number(call, "keep_first") // chunk)),
        Stage(middle, stride, max(1, number(call, "keep_middle") // middle)),
        Stage(unit, number(call, "stride_last"), None),
    )


def device(call: Call) -> Scores:
    batch, q_heads, _, head_dim = call.query.shape
    key, (first, middle, _) = call.key.contiguous(), stages(call)
    chunks = max(call.kv_len // first.chunk, number(call, "keep_first") // middle.chunk)
    each = batch * q_heads * max(rows_each(call) * head_dim, 8 * chunks)

    def scores(part: range) -> Tensor:
        return torch.cat([_scores(call, key, blocks) for blocks in pieces(part, each)], 2)

    return scores


def plain(call: Call) -> Scores:
    def scores(part: range) -> Tensor:
        out = torch.full((*call.query.shape[:2], len(part), call.units), -torch.inf, dtype=torch.float64)
        for batch in range(call.query.shape[0]):
            for row, block in enumerate(part):
                out[batch, :, row] = _plain_block(call, batch, block)
        return out

    return scores


def _scores(call: Call, key: Tensor, part: range) -> Tensor:
    unit, (batch, q_heads), share = call.geometry.size, call.query.shape[:2], word(call, "share")
    plan, begin = stages(call), number(call, "sink") // unit * unit
    window = number(call, "window") if call.causal else 0
    stop, last = stops(call, part, key.device) - window, plain_stop(call, part[-1]) - window
    low = torch.arange(begin, max(begin, last), plan[0].chunk, device=key.device)
    low = low.expand(batch, key.shape[1], len(part), -1)
    out = torch.full((batch, q_heads, len(part), call.units + 1), -torch.inf, device=key.device)
    for stage, finer in zip(plan, (*plan[1:], None), strict=True):
        high = (low + stage.chunk).minimum(stop[:, None])
        if finer is None or stage.keep is None:
            score = _descent(call, key, part, stage, low, high)
            place = torch.where(low < high, low // unit, call.units)
            return out.scatter_(-1, per_query_head(place, q_heads), score)[..., : call.units]
        if low.shape[-1] > stage.keep:
            score = together(_descent(call, key, part, stage, low, high), share, key.shape[1])
            low = per_query_head(low, score.shape[1]).gather(-1, best_of(score, stage.keep))
        low = (low.unsqueeze(-1) + torch.arange(0, stage.chunk, finer.chunk, device=key.device)).flatten(-2)
    return out


def _descent(call: Call, key: Tensor, part: range, stage: Stage, low: Tensor, high: Tensor) -> Tensor:
    """Scores of the chunks from `low` to before `high`: [batch, q_heads, blocks, chunks]."""
    q_heads = call.query.shape[1]
    query, present = averages(call, part, stage.stride)
    empty = per_query_head(low >= high, q_heads)
    best = torch.full(empty.shape, -torch.inf, device=key.device)
    for _ in range(halvings(stage.chunk)):
        middle = (low + high) // 2
        ends = torch.cat([(low + middle) // 2, (middle + high) // 2], -1).clamp(0, call.kv_len - 1)
        left, right = largest(query, present, key, ends).chunk(2, -1)
        low, middle, high = (per_query_head(side, q_heads) for side in (low, middle, high))
        rightward = (right >= left) | (middle <= low)
        best = best.maximum(torch.where(rightward, right, left))
        low, high = torch.where(rightward, middle, low), torch.where(rightward, high, middle)
    return best.masked_fill(empty, -torch.inf)


def _plain_block(call: Call, batch: int, block: int) -> Tensor:
    unit, q_heads, plan = call.geometry.size, call.query.shape[1], stages(call)
    begin, stop = number(call, "sink") // unit * unit, plain_stop(call, block)
    if call.causal:
        stop -= number(call, "window")
    lows = [list(range(begin, stop, plan[0].chunk))] * q_heads
    scores: list[dict[int, float]] = []
    for stage, finer in zip(plan, (*plan[1:], None), strict=True):
        products = _plain_products(call, batch, block, stage.stride)
        scores = [
            {low: _plain_descent(products[head], low, min(low + stage.chunk, stop)) for low in lows[head]}
            for head in range(q_heads)
        ]
        if finer is not None:
            deciding = plain_together(scores, word(call, "share"), call.key.shape[1])
            kept = [sorted(score, key=lambda low: (-score[low], low))[: stage.keep] for score in deciding]
            lows = [
                [low for one in mine for low in range(one, min(one + stage.chunk, stop), finer.chunk)] for mine in kept
            ]
    out = torch.full((q_heads, call.units), -torch.inf, dtype=torch.float64)
    for head in range(q_heads):
        for low, score in scores[head].items():
            out[head, low // unit] = score
    return out


def _plain_products(call: Call, batch: int, block: int, stride: int) -> list[list[float]]:
    """The largest product of each key with the averages of the row block, for each query head."""
    query, key = call.query[batch].double(), call.key[batch].double()
    asked = torch.stack([query[:, rows].mean(1) * call.scale for rows in groups(call, block, stride)], 1)
    owner = torch.arange(query.shape[0]) * key.shape[0] // query.shape[0]
    best: list[list[float]] = (asked @ key[owner].transpose(-1, -2)).amax(1).tolist()
    return best


def _plain_descent(product: list[float], low: int, high: int) -> float:
    best = -torch.inf
    while True:
        middle = (low + high) // 2
        left, right = product[(low + middle) // 2], product[(middle + high) // 2]
        best = max(best, left, right)
        if high - low <= 1:
            return best
        low, high = (middle, high) if right >= left else (low, middle)
