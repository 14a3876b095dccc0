"""From a Pattern to its TilePlan: the passes, in order."""

from __future__ import annotations

from functools import lru_cache

import islpy as isl

from attncc.errors import MaskTooComplex
from attncc.ir.pattern import Pattern
from attncc.ir.tile import TilePlan, Tiling
from attncc.passes.fold import fold
from attncc.passes.tiles import tiles


@lru_cache(maxsize=1024)
def run(pattern: Pattern, tiling: Tiling) -> TilePlan:
    """The plan of `pattern` for tiles of this shape; takes milliseconds, whatever the lengths will be.

    Raises MaskTooComplex when the set library cannot finish within its budget.
    """
    mask = fold(pattern.mask)
    try:
        return tiles(pattern, mask, tiling.block_m, tiling.width or 1)
    except isl.Error as error:
        raise MaskTooComplex(pattern.name, str(error)) from None
