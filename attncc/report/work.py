"""How much of what a plan computes is asked for: pairs the mask keeps, pairs the tiles visit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attncc.ir.expr import names
from attncc.ir.schedule import Shape
from attncc.ir.tile import TilePlan
from attncc.ref import interp
from attncc.ref.interp import QueryTile, Visit
from attncc.ref.walk import NOTHING_HELD, Held, held

if TYPE_CHECKING:
    from attncc.lists import Given


@dataclass(frozen=True, slots=True)
class Work:
    """(query, key) pairs: those the mask keeps, and those of all tiles that are visited."""

    kept: int
    visited: int

    @property
    def efficiency(self) -> float:
        """Useful over computed; 1 for a mask that keeps nothing and costs nothing."""
        return self.kept / self.visited if self.visited else 1.0


def work(plan: TilePlan, shape: Shape, first_head: int = 0, given: Given | None = None) -> Work:
    """The pairs of all heads (counted from `first_head`) and batches of a call; exact, and without ever holding a
    matrix of [q_len, kv_len]. `given` holds the lists and inputs of the plan, if it has any."""
    owners = names(plan.pattern.mask) if given is None else {"head", "batch"}
    heads = range(first_head, first_head + (shape.q_heads if "head" in owners else 1))
    batches = range(shape.batch if "batch" in owners else 1)
    mine = {
        (head, batch): NOTHING_HELD if given is None else held(given, head, batch, shape.q_heads)
        for head in heads
        for batch in batches
    }
    parts = [_one(plan, shape, head, batch, mine[head, batch]) for head, batch in mine]
    copies = shape.q_heads * shape.batch // (len(heads) * len(batches))
    return Work(copies * sum(part.kept for part in parts), copies * sum(part.visited for part in parts))


def _one(plan: TilePlan, shape: Shape, head: int, batch: int, mine: Held) -> Work:
    kept = visited = 0
    for tile in interp.visits(plan, shape.q_len, shape.kv_len, head, batch, mine):
        rows = tile.q_last - tile.q_first + 1
        for visit in tile.visits:
            pairs = rows * (visit.stop - visit.first)
            visited += pairs
            kept += pairs if visit.run.mask is None else _passing(plan, tile, visit, shape, head, batch, mine)
    return Work(kept, visited)


def _passing(plan: TilePlan, tile: QueryTile, visit: Visit, shape: Shape, head: int, batch: int, mine: Held) -> int:
    keys = np.arange(visit.first, visit.stop)
    return int(interp.residual(plan, tile, visit.run, keys, shape.q_len, shape.kv_len, head, batch, mine).sum())
