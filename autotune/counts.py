"""How many key tiles does each query tile visit? Exact, from the loops' closed forms, for all query tiles at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, assert_never

import numpy as np

from attncc.ir.expr import Q_FIRST, Q_LAST, UNIT_INDEX
from attncc.ir.schedule import Shape
from attncc.ir.tile import Body, Branch, RangeLoop, TilePlan
from attncc.ref.evaluate import Bools, Ints, constants, number, truth

#: Units whose sieve is evaluated at a time.
MOST_UNITS: Final = 1 << 22


@dataclass(frozen=True, slots=True)
class Counts:
    """Key tiles that need no mask, and those that do: int64 [batch, q_heads, query tiles], where batch and q_heads are
    1 if all are alike."""

    full: Ints
    masked: Ints


def counts(plan: TilePlan, shape: Shape) -> Counts:
    """The tiles of a call; memory grows with the number of query tiles, not with that of the tiles visited."""
    offset = shape.kv_len - shape.q_len
    tiles = np.arange(offset // plan.block_m, (shape.kv_len - 1) // plan.block_m + 1)
    values = constants(plan.pattern, shape.q_len, shape.kv_len) | {
        Q_FIRST: np.maximum(offset, tiles * plan.block_m),
        Q_LAST: np.minimum(shape.kv_len, (tiles + 1) * plan.block_m) - 1,
        "head": np.arange(shape.q_heads)[:, None],
        "batch": np.arange(shape.batch)[:, None, None],
    }
    start = np.zeros((1, 1, len(tiles)), np.int64)
    return Counts(*_body(plan.body, values, np.ones_like(start, np.bool_), start, start))


def _body(body: Body, values: Mapping[str, Ints], active: Bools, full: Ints, masked: Ints) -> tuple[Ints, Ints]:
    for node in body:
        match node:
            case Branch(condition, then, orelse):
                taken = truth(condition, values)
                full, masked = _body(then, values, active & taken, full, masked)
                full, masked = _body(orelse, values, active & ~taken, full, masked)
            case RangeLoop(_, _, _, _, None):
                full = full + active * _units(node, values)
            case RangeLoop():
                masked = masked + active * _units(node, values)
            case _:
                assert_never(node)
    return full, masked


def _units(loop: RangeLoop, values: Mapping[str, Ints]) -> Ints:
    lo, hi = number(loop.lo, values), number(loop.hi, values)
    visited = np.maximum(0, -((lo - hi) // loop.step))
    return visited if loop.sieve is None else _sieved(loop, values, lo, visited)


def _sieved(loop: RangeLoop, values: Mapping[str, Ints], lo: Ints, visited: Ints) -> Ints:
    """How many of the `visited` units pass the sieve, a stretch of units at a time."""
    assert loop.sieve is not None, "only a loop with a sieve is counted unit by unit"
    passed = np.zeros_like(visited)
    longest = int(visited.max(initial=0))
    stretch = max(1, MOST_UNITS // max(1, visited.size))
    wide = {name: value[..., None] for name, value in values.items()}
    for start in range(0, longest, stretch):
        index = np.arange(start, min(longest, start + stretch))
        units = lo[..., None] + loop.step * index
        inside = index < visited[..., None]
        passed = passed + (inside & truth(loop.sieve, wide | {UNIT_INDEX: units})).sum(-1)
    return passed
