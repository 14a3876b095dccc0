"""How much of what a plan computes is asked for: pairs the mask keeps, pairs the tiles visit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attncc.ir.expr import names
from attncc.ir.schedule import Shape
from attncc.ir.tile import RangeLoop, TilePlan
from attncc.ref import interp
from attncc.ref.evaluate import Ints, constants, truth
from attncc.ref.interp import QueryTile


@dataclass(frozen=True, slots=True)
class Work:
    """(query, key) pairs: those the mask keeps, and those of all tiles that are visited."""

    kept: int
    visited: int

    @property
    def efficiency(self) -> float:
        """Useful over computed; 1 for a mask that keeps nothing and costs nothing."""
        return self.kept / self.visited if self.visited else 1.0


def work(plan: TilePlan, shape: Shape, first_head: int = 0) -> Work:
    """The pairs of all heads (counted from `first_head`) and batches of a call; exact, and without ever holding a
    matrix of [q_len, kv_len]."""
    owners = names(plan.pattern.mask)
    heads = range(first_head, first_head + (shape.q_heads if "head" in owners else 1))
    batches = range(shape.batch if "batch" in owners else 1)
    parts = [_one(plan, shape, head, batch) for head in heads for batch in batches]
    copies = shape.q_heads * shape.batch // (len(heads) * len(batches))
    return Work(copies * sum(part.kept for part in parts), copies * sum(part.visited for part in parts))


def _one(plan: TilePlan, shape: Shape, head: int, batch: int) -> Work:
    kept = visited = 0
    for tile in interp.visits(plan, shape.q_len, shape.kv_len, head, batch):
        rows = tile.q_last - tile.q_first + 1
        for loop, keys in _keys(plan, tile, shape.kv_len):
            visited += rows * keys.size
            kept += rows * keys.size if loop.mask is None else _passing(plan, loop, tile, keys, shape, head, batch)
    return Work(kept, visited)


def _keys(plan: TilePlan, tile: QueryTile, kv_len: int) -> Iterator[tuple[RangeLoop, Ints]]:
    for loop, visits in itertools.groupby(tile.visits, key=lambda visit: visit.loop):
        units = np.fromiter((visit.unit for visit in visits), np.int64)
        keys = (units[:, None] * plan.width + np.arange(plan.width)).ravel()
        yield loop, keys[keys < kv_len]


def _passing(
    plan: TilePlan,
    loop: RangeLoop,
    tile: QueryTile,
    keys: Ints,
    shape: Shape,
    head: int,
    batch: int,
) -> int:
    assert loop.mask is not None, "a loop without a mask keeps every pair"
    values = constants(plan.pattern, shape.q_len, shape.kv_len)
    values |= {"head": np.asarray(head), "batch": np.asarray(batch), "kv": keys}
    values["q"] = np.arange(tile.q_first, tile.q_last + 1)[:, None]
    kept = truth(loop.mask, values)
    return int(np.broadcast_to(kept, (tile.q_last - tile.q_first + 1, keys.size)).sum())
