"""Which tiles of the score matrix a pattern touches: the picture and its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from attncc import passes
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Shape
from attncc.ir.tile import TilePlan, Tiling
from attncc.ref import interp
from attncc.ref.evaluate import Ints
from attncc.ref.interp import QueryTile, Visit
from attncc.report.work import Work, work

Bools: TypeAlias = npt.NDArray[np.bool_]
TileKind: TypeAlias = Literal["empty", "partial", "full"]
SMALLEST_EDGE = 16
COUNTED = 128


@dataclass(frozen=True, slots=True)
class TileRow:
    """The tiles of one query tile, whose first row is at position `q_first`."""

    q_first: int
    tiles: tuple[TileKind, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """One row per query tile, one cell per key tile; `tile` is the edge of a cell in tokens, `work` is of one head."""

    pattern: Pattern
    shape: Shape
    head: int
    tile: int
    rows: tuple[TileRow, ...]
    work: Work

    def counts(self) -> Counter[TileKind]:
        """How many tiles there are of each kind."""
        return Counter(kind for row in self.rows for kind in row.tiles)

    def title(self) -> str:
        """What is drawn, in one line."""
        params = ", ".join(f"{name}={value}" for name, value in self.pattern.params)
        sizes = f"{self.shape.q_len} queries x {self.shape.kv_len} keys"
        return f"{self.pattern.name}{f'({params})' if params else ''}, {sizes}, head {self.head}"


def draw(pattern: Pattern, shape: Shape, head: int, tile: int) -> Picture:
    """The exact picture: full, partial and empty are those of the tile analysis, not of a sample.

    The work beside it is that of query tiles as kernels have them, at most COUNTED rows.
    """
    rows = tuple(
        TileRow(q_first, tuple(kind(*each) for each in zip(touched, full, strict=True)))
        for q_first, touched, full in classes(pattern, shape, head, tile)
    )
    one_head = Shape(1, 1, 1, shape.q_len, shape.kv_len, shape.head_dim)
    counted = passes.run(pattern, Tiling(min(tile, COUNTED), 1))
    return Picture(pattern, shape, head, tile, rows, work(counted, one_head, first_head=head))


def classes(pattern: Pattern, shape: Shape, head: int, tile: int) -> Iterator[tuple[int, Bools, Bools]]:
    """Of each query tile the position of its first row, and which key tiles any of its rows sees, and which of them
    all see whole."""
    plan = passes.run(pattern, Tiling(tile, 1))
    for found in interp.visits(plan, shape.q_len, shape.kv_len, head):
        yield found.q_first, *_row(plan, found, shape, head, tile)


def _row(plan: TilePlan, found: QueryTile, shape: Shape, head: int, tile: int) -> tuple[Bools, Bools]:
    """Touched: some row sees some key. Full: every row sees every key that exists."""
    edges = np.arange(0, shape.kv_len, tile)
    some, every = np.zeros((2, edges.size), np.int64)
    for visit in found.visits:
        inside = _inside(edges, tile, visit.first, visit.stop)
        if visit.run.mask is not None and (plan.note or plan.aligned):
            seen, whole = _asked(plan, found, visit, shape, head, edges)
            some, every = some + seen, every + whole
        else:
            some, every = some + inside, every + inside * (visit.run.mask is None)
    exists = _inside(edges, tile, 0, shape.kv_len)
    return some > 0, every == exists


def _inside(edges: Ints, tile: int, first: int, stop: int) -> Ints:
    """How many of the keys first to stop - 1 lie in each tile."""
    inside: Ints = np.clip(np.minimum(stop, edges + tile) - np.maximum(first, edges), 0, None)
    return inside


def _asked(plan: TilePlan, found: QueryTile, visit: Visit, shape: Shape, head: int, edges: Ints) -> tuple[Ints, Ints]:
    """Keys that some row sees and that every row sees, by tile: asked of the mask where the plan counts too many."""
    some, every = np.zeros((2, shape.kv_len), np.int64)
    keys = np.arange(visit.first, visit.stop)
    kept = interp.residual(plan, found, visit.run, keys, shape.q_len, shape.kv_len, head)
    some[keys], every[keys] = kept.any(0), kept.all(0)
    return np.add.reduceat(some, edges), np.add.reduceat(every, edges)


def kind(touched: np.bool_, full: np.bool_) -> TileKind:
    return "full" if full else "partial" if touched else "empty"


def tile_edge(length: int, cells: int) -> int:
    """The smallest power-of-two edge, at least SMALLEST_EDGE tokens, that fits `length` tokens into `cells` tiles."""
    edge = SMALLEST_EDGE
    while -(-length // edge) > cells:
        edge *= 2
    return edge
