"""From a Pattern to its TilePlan: fold, choose the unit, split and loop, name; nothing here knows a backend."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import islpy as isl

from attncc.errors import MaskTooComplex
from attncc.ir.expr import BoolExpr
from attncc.ir.pattern import Pattern
from attncc.ir.tile import Body, TilePlan, Tiling
from attncc.passes.fold import fold
from attncc.passes.named import named
from attncc.passes.tiles import tiles
from attncc.passes.width import candidates, uneven


@lru_cache(maxsize=1024)
def run(pattern: Pattern, tiling: Tiling) -> TilePlan:
    """The plan of `pattern` for tiles of this shape; takes milliseconds, whatever the lengths will be.

    Raises MaskTooComplex when the set library cannot finish within its budget.
    """
    mask, params = fold(pattern.mask), dict(pattern.params)
    try:
        width, body = _sized(mask, params, tiling)
    except isl.Error as error:
        raise MaskTooComplex(pattern.name, str(error)) from None

    def replan(changed: Mapping[str, int]) -> Body:
        return tiles(mask, changed, tiling.block_m, width)

    return TilePlan(pattern, tiling.block_m, width, named(body, mask, params, width, replan))


def _sized(mask: BoolExpr, params: Mapping[str, int], tiling: Tiling) -> tuple[int, Body]:
    """The loops and the width of their units: the width asked for, or the first whose loops all walk runs of keys."""
    if tiling.width is not None:
        return tiling.width, tiles(mask, params, tiling.block_m, tiling.width)
    plans: list[tuple[int, Body]] = []
    for width in candidates(mask, params):
        plans.append((width, tiles(mask, params, tiling.block_m, width)))
        if not uneven(plans[-1][1], width):
            return plans[-1]
    return min(plans, key=lambda plan: uneven(plan[1], plan[0]))
