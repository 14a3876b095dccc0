"""Which tiles of the score matrix a pattern touches: the picture and its numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from attncc import passes
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Shape
from attncc.ir.tile import Tiling
from attncc.ref import interp
from attncc.ref.evaluate import Ints
from attncc.ref.interp import QueryTile
from attncc.report.work import Work, work

TileKind: TypeAlias = Literal["empty", "partial", "full"]
_KINDS: dict[str, TileKind] = {"empty": "empty", "partial": "partial", "full": "full"}
SMALLEST_EDGE = 16


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
    """The exact picture: full, partial and empty are those of the tile analysis, not of a sample."""
    plan = passes.run(pattern, Tiling(tile, tile))
    rows = tuple(_row(found, shape.kv_len, tile) for found in interp.visits(plan, shape.q_len, shape.kv_len, head))
    one_head = Shape(1, 1, 1, shape.q_len, shape.kv_len, shape.head_dim)
    return Picture(pattern, shape, head, tile, rows, work(plan, one_head, first_head=head))


def _row(found: QueryTile, kv_len: int, tile: int) -> TileRow:
    visited, bare = (_marked(found, kv_len, tile, masked) for masked in ((True, False), (False,)))
    sizes = np.diff(np.minimum(np.arange(len(visited) + 1) * tile, kv_len))
    kinds = np.where(bare == sizes, "full", np.where(visited > 0, "partial", "empty"))
    return TileRow(found.q_first, tuple(_KINDS[str(kind)] for kind in kinds))


def _marked(found: QueryTile, kv_len: int, tile: int, masked: tuple[bool, ...]) -> Ints:
    """How many keys of each tile are visited by runs that have a mask or have none."""
    keys = np.zeros(-(-kv_len // tile) * tile, np.int64)
    for visit in found.visits:
        keys[visit.first : visit.stop] += (visit.run.mask is not None) in masked
    return np.add.reduceat(keys, np.arange(0, keys.size, tile))


def tile_edge(length: int, cells: int) -> int:
    """The smallest power-of-two edge, at least SMALLEST_EDGE tokens, that fits `length` tokens into `cells` tiles."""
    edge = SMALLEST_EDGE
    while -(-length // edge) > cells:
        edge *= 2
    return edge
