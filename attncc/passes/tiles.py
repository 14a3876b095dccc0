"""Makes the loops of a pattern: exact ranges of full units, and of partial units with what is left of the mask."""

from __future__ import annotations

from collections.abc import Mapping

import islpy as isl

from attncc.ir.expr import TRUE, BoolExpr
from attncc.ir.tile import Body, RangeLoop
from attncc.passes.loops import Leaf, Range, loops
from attncc.passes.residual import residual
from attncc.passes.split import Split, split

FULL, PARTIAL = "full", "partial"


def tiles(mask: BoolExpr, params: Mapping[str, int], block_m: int, width: int) -> Body:
    """The loops of a folded mask for query tiles of `block_m` rows and units of `width` keys."""
    parts = split(mask, params, block_m, width)

    def make(leaf: Leaf, where: Range) -> RangeLoop:
        return _loop(parts, leaf, where)

    return loops({FULL: parts.full, PARTIAL: parts.partial}, parts.sizes, make)


def _loop(parts: Split, leaf: Leaf, where: Range) -> RangeLoop:
    sieve = None if where.sieve == TRUE else where.sieve
    if leaf.label == FULL:
        return RangeLoop(where.lo, where.hi, where.step, sieve, None, overhang=False)
    inside = _pairs(parts, leaf)
    mask = residual(parts.mask, inside, parts.sets)
    assert (inside & parts.sets.points(mask)).is_equal(inside & parts.keep), "the residual mask must be the mask"
    overhang = not inside.is_subset(parts.sets.points(parts.in_bounds))
    return RangeLoop(where.lo, where.hi, where.step, sieve, mask, overhang)


def _pairs(parts: Split, leaf: Leaf) -> isl.Set:
    """{ [q, kv] } : all pairs of the tile's rows and the leaf's keys."""
    keys = leaf.units.apply(parts.units.reverse()).insert_dims(isl.dim_type.set, 0, 1)
    return (keys & parts.pairs).coalesce()
