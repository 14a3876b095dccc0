"""From a Pattern to its TilePlan: fold, choose a form, split and write the runs, name; nothing here knows a backend."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from attncc.ir.expr import BoolExpr, Int
from attncc.ir.fold import fold
from attncc.ir.pattern import Pattern
from attncc.ir.tile import Body, Run, TilePlan, Tiling
from attncc.passes.forms import chosen, covering
from attncc.passes.named import named
from attncc.passes.tiles import KV_LEN, tiles

#: Said of plans that visit more keys than they should.
COVERS = "the mask has no short closed form for these tiles: a cover of its keys is visited and masked"
VISITS_ALL = "the mask has no closed form for these tiles: all keys are visited and masked"


@lru_cache(maxsize=4096)
def run(pattern: Pattern, tiling: Tiling) -> TilePlan:
    """The plan of `pattern` for tiles of this shape; takes milliseconds, whatever the lengths will be.

    A mask that the set library cannot put into closed form gets a plan that visits every key, and says so in `note`.
    """
    mask, params = fold(pattern.mask), dict(pattern.params)
    found = chosen(mask, params, tiling.block_m, tiling.block_n)
    if found is None:
        return _covering(pattern, mask, tiling)
    form, body = found

    def replan(changed: Mapping[str, int]) -> Body:
        return tiles(mask, changed, tiling.block_m, tiling.block_n, form)

    return TilePlan(pattern, tiling, form.aligned, "", named(body, mask, params, replan))


def _covering(pattern: Pattern, mask: BoolExpr, tiling: Tiling) -> TilePlan:
    found = covering(mask, dict(pattern.params), tiling.block_m)
    if found is not None:
        return TilePlan(pattern, tiling, tiling.block_m > 1, COVERS, found)
    return TilePlan(pattern, tiling, False, VISITS_ALL, (Run(Int(0), KV_LEN, mask, bounded=True, joined=False),))
