"""What scores have in common: means and extremes of blocks of positions, products of heads, the best of a row block."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from attncc.selectors.score import Call

#: Numbers held at a time, but those of one query at least: 16 MiB in float32.
MOST_NUMBERS = 2**22


def by_block(numbers: Tensor, first: int, size: int, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """`numbers` [..., len, width] of the positions from `first` on, reduced over each block of `size` positions.

    `reduce` takes [..., n, some, width] to [..., n, width]; the result is [..., blocks, width], for the blocks from
    first // size to that of the last position. The outer two may be incomplete.
    """
    length = numbers.shape[-2]
    lead = min(-first % size, length)
    whole = (length - lead) // size
    stop = lead + whole * size
    blocks = torch.unflatten(numbers[..., lead:stop, :], -2, (whole, size))
    parts = (numbers[..., None, :lead, :], blocks, numbers[..., None, stop:, :])
    return torch.cat([reduce(part) for part in parts if part.numel()], -2)


def means(numbers: Tensor, first: int, size: int, padded: bool) -> Tensor:
    """The mean of each block, float32 [..., blocks, width]; of incomplete blocks over what is there, or, if `padded`,
    as if zeros stood for the rest."""
    total = by_block(numbers, first, size, lambda part: part.sum(-2, dtype=torch.float32))
    if padded:
        return total / size
    start = (torch.arange(total.shape[-2], device=total.device) + first // size) * size
    count = (start + size).clamp(max=first + numbers.shape[-2]) - start.clamp(min=first)
    return total / count[:, None]


def query_means(call: Call, padded: bool = False) -> Tensor:
    """The mean query of each of `call.rows`, float32 [batch, q_heads, rows, head_dim]."""
    if call.geometry.rows is None:
        return means(call.query, 0, call.q_len, padded)
    return means(call.query, call.first, call.geometry.rows, padded)


def products(query: Tensor, units: Tensor) -> Tensor:
    """query [batch, q_heads, n, width] times units [batch, kv_heads, m, width] of its head: [batch, q_heads, n, m]."""
    batch, q_heads, n, width = query.shape
    grouped = query.reshape(batch, units.shape[1], -1, width) @ units.transpose(-1, -2)
    return grouped.view(batch, q_heads, n, -1)


def best(call: Call, part: range, score: Callable[[Tensor], Tensor]) -> Tensor:
    """The largest score that any query of each row block gives each unit: float32 [batch, q_heads, rows, units].

    `score` takes some queries, float32 [batch, q_heads, n, head_dim], to [batch, q_heads, n, units].
    """
    batch, q_heads = call.query.shape[:2]
    found = torch.full((batch, q_heads, len(part), call.units), -torch.inf, device=call.query.device)
    start, stop = call.queries(part.start).start, call.queries(part.stop - 1).stop
    first, rows = (0, call.q_len) if call.geometry.rows is None else (call.first, call.geometry.rows)
    step = max(1, MOST_NUMBERS // (batch * q_heads * call.units))
    for lo in range(start, stop, step):
        some = score(call.query[:, :, lo : min(lo + step, stop)].float())
        some = by_block(some, first + lo, rows, lambda block: block.amax(-2))
        row = (first + lo) // rows - part.start
        place = found[:, :, row : row + some.shape[2]]
        torch.maximum(place, some, out=place)
    return found


def each_pair(call: Call, part: range, score: Callable[[Tensor, Tensor], float]) -> Tensor:
    """`score(queries, keys)` for each row block and unit, in float64: [batch, q_heads, rows, units].

    `queries` are those of the row block, [n, head_dim], `keys` those of the unit, [m, head_dim].
    """
    batch, q_heads = call.query.shape[:2]
    group = q_heads // call.key.shape[1]
    found = torch.zeros(batch, q_heads, len(part), call.units, dtype=torch.float64)
    for b, h, r, u in product(*map(range, found.shape)):
        rows, unit = call.queries(part[r]), call.keys(u)
        query = call.query[b, h, rows.start : rows.stop].double()
        found[b, h, r, u] = score(query, call.key[b, h // group, unit.start : unit.stop].double())
    return found
