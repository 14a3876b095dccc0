"""Calls to score: of whole numbers, which float32 adds up exactly, and of keys with a structure to search in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from attncc.ir.selection import Geometry, OptionValue
from attncc.selectors.score import Call, Score


@dataclass(frozen=True, slots=True)
class Shape:
    batch: int
    q_heads: int
    kv_heads: int
    q_len: int
    kv_len: int
    rows: int | None


#: Whole and ragged lengths, chunks of prefill, single rows, few keys, groups of heads, more queries than keys.
SHAPES = (
    Shape(1, 2, 2, 80, 80, 16),
    Shape(2, 4, 2, 35, 99, 16),
    Shape(1, 4, 1, 1, 97, 16),
    Shape(3, 2, 1, 1, 1, 8),
    Shape(1, 2, 2, 5, 7, 1),
    Shape(1, 6, 3, 33, 93, 24),
    Shape(1, 2, 1, 19, 110, None),
    Shape(1, 2, 1, 40, 25, 8),
)


def options(score: Score, **changed: OptionValue) -> dict[str, OptionValue]:
    """The options of a score, some of them changed; each is known to it."""
    assert changed.keys() <= score.OPTIONS.keys()
    taken = {**score.OPTIONS, **changed}
    return {name: value for name, value in taken.items() if value is not None}


def whole(shape: Shape, size: int, options: Mapping[str, OptionValue], *, causal: bool = True, seed: int = 0) -> Call:
    """Small whole numbers: products and means of up to four rows are exact in float32, and ties are many."""
    draw = torch.Generator().manual_seed(seed)
    query = torch.randint(-4, 5, (shape.batch, shape.q_heads, shape.q_len, 8), generator=draw) * 12.0
    key = torch.randint(-4, 5, (shape.batch, shape.kv_heads, shape.kv_len, 8), generator=draw) * 1.0
    return Call(query, key, 0.25, Geometry(size, shape.rows, None), causal, options, {})


def normal(shape: Shape, size: int, options: Mapping[str, OptionValue], *, causal: bool = True, seed: int = 0) -> Call:
    """Independent normal numbers."""
    draw = torch.Generator().manual_seed(seed)
    query = torch.randn((shape.batch, shape.q_heads, shape.q_len, 16), generator=draw)
    key = torch.randn((shape.batch, shape.kv_heads, shape.kv_len, 16), generator=draw)
    return Call(query, key, 0.25, Geometry(size, shape.rows, None), causal, options, {})


def smooth(kv_len: int, head_dim: int, seed: int = 0, memory: float = 0.95) -> Tensor:
    """Keys [1, 1, kv_len, head_dim] that change slowly: each is `memory` times the one before, and noise (AR(1))."""
    noise = torch.randn(kv_len, head_dim, generator=torch.Generator().manual_seed(seed))
    keys = [noise[0]]
    for step in noise[1:]:
        keys.append(memory * keys[-1] + (1 - memory**2) ** 0.5 * step)
    return torch.stack(keys)[None, None]


def planted(kv_len: int, head_dim: int, places: range, seed: int = 0) -> tuple[Tensor, Tensor]:
    """(query, key) for one row: smooth keys, and a query that looks for the keys at `places`, which are alike."""
    key = smooth(kv_len, head_dim, seed)
    key[:, :, places.start : places.stop] = 2.0 * key[:, :, places.start : places.start + 1]
    return key[:, :, places.start : places.start + 1] * 1.0, key


def visible(call: Call, part: range) -> Tensor:
    """Units that begin at or before the last position of each row block: bool [blocks, units]."""
    rows = call.geometry.rows
    if rows is None or not call.causal:
        return torch.ones(len(part), call.units, dtype=torch.bool)
    last = torch.tensor([min(block * rows + rows, call.kv_len) - 1 for block in part])
    return torch.arange(call.units) * call.geometry.size <= last[:, None]


def both(score: Score, call: Call) -> tuple[Tensor, Tensor]:
    """(device, plain): all scores of a call, 0 where they do not matter; what a part of the rows gets is the same."""
    found, wanted = score.device(call)(call.rows), score.plain(call)(call.rows)
    assert found.shape == wanted.shape == (*call.query.shape[:2], len(call.rows), call.units)
    assert found.dtype == torch.float32
    assert wanted.dtype == torch.float64
    matter = visible(call, call.rows)
    half = call.rows[len(call.rows) // 2 :]
    again = score.device(call)(half)
    assert torch.equal(again.isneginf(), found[:, :, -len(half) :].isneginf())
    return found.where(matter, 0.0), wanted.where(matter, 0.0)


def rounding(call: Call) -> float:
    """How far float32 products of rows, or their means, may be from exact: the bound for sums of head_dim terms."""
    query, key = call.query.double().abs(), call.key.double().abs()
    largest = (query @ key.repeat_interleave(query.shape[1] // key.shape[1], 1).transpose(-1, -2)).max()
    return float(largest) * abs(call.scale) * (call.query.shape[-1] + 8) * torch.finfo(torch.float32).eps


def blinded(call: Call, start: int) -> Call:
    """The call with NaN for the keys from `start` on."""
    key = call.key.clone()
    key[:, :, start:] = torch.nan
    return Call(call.query, key, call.scale, call.geometry, call.causal, call.options, call.inputs)


def begun(call: Call, start: int, stop: int) -> Call:
    """The chunk of prefill with the positions from `start` to before `stop` of a call of whole length."""
    assert call.q_len == call.kv_len
    query, key = call.query[:, :, start:stop], call.key[:, :, :stop]
    return Call(query, key, call.scale, call.geometry, call.causal, call.options, call.inputs)


def mass_kept(query: Tensor, key: Tensor, kept: Tensor) -> float:
    """The share of the softmax of one row, [1, 1, 1, head_dim], that falls on the keys of `kept`, bool [kv_len]."""
    weight = (query.double() @ key.double().transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1)
    return float(weight[..., kept].sum())


def recall(score: Score, size: int, changed: Mapping[str, OptionValue], seed: int) -> float:
    """The softmax mass of one row on the keys that a search keeps of 2048 smooth ones, the row looking for one of them
    through noise: 1 where it is that of the best keys as many, 0 where it is that of keys at random."""
    draw = torch.Generator().manual_seed(seed + 1000)
    key = smooth(2048, 64, seed, memory=0.97)
    wanted = int(torch.randint(2048, (1,), generator=draw))
    query = 0.7 * key[:, :, wanted : wanted + 1] + torch.randn(1, 1, 1, 64, generator=draw)
    call = Call(query, key, 0.125, Geometry(size, None, None), True, options(score, **changed), {})
    kept = ~score.device(call)(call.rows)[0, 0, 0].isneginf().repeat_interleave(size)
    best = torch.zeros_like(kept)
    best[(query @ key.transpose(-1, -2)).flatten().topk(int(kept.sum())).indices] = True
    chance = float(kept.double().mean())
    return (mass_kept(query, key, kept) - chance) / (mass_kept(query, key, best) - chance)
