"""From a Pattern to its TilePlan: fold, take apart, loops of each part; nothing here knows a backend."""

from __future__ import annotations

from functools import lru_cache
from typing import assert_never

from attncc.ir.expr import TRUE, BoolExpr
from attncc.ir.fold import conjunction, fold
from attncc.ir.pattern import Pattern
from attncc.ir.tile import Body, Branch, Node, Run, Strips, TilePlan, Tiling
from attncc.passes.loops import Loops, loops
from attncc.passes.terms import Driven, take_apart

#: Rules of combination that look at whole units of keys, so that runs must not be cut where a row's view ends.
WHOLE = ("landmark",)


@lru_cache(maxsize=4096)
def run(pattern: Pattern, tiling: Tiling) -> TilePlan:
    """The plan of `pattern` for tiles of this shape; takes milliseconds, whatever the lengths will be.

    A mask that the set library cannot put into closed form gets a plan that visits every key, and says so in `note`.
    Raises MaskTooIntricate.
    """
    taken = take_apart(fold(pattern.mask), dict(pattern.params), pattern.geometry())
    parts = [(taken.analytic, tiling), *((one.region, Tiling(tiling.block_m, 1)) for one in taken.driven)]
    analytic, *driven = _agreeing(pattern, parts)
    body = (
        *analytic.body,
        *(node for one, found in zip(taken.driven, driven, strict=True) for node in _over(found.body, one)),
    )
    note = next((found.note for found in (analytic, *driven) if found.note), "")
    return TilePlan(pattern, tiling, any(found.aligned for found in (analytic, *driven)), note, body, taken.lists)


def _agreeing(pattern: Pattern, parts: list[tuple[BoolExpr, Tiling]]) -> list[Loops]:
    """The loops of every part, all of them aligned or none."""
    params, whole = dict(pattern.params), pattern.combine.rule in WHOLE
    found = [loops(region, params, tiling, whole) for region, tiling in parts]
    if len({one.aligned for one in found} - {None}) < 2:
        return found
    return [
        one if one.aligned is not False else loops(region, params, tiling, whole, aligned=True)
        for one, (region, tiling) in zip(found, parts, strict=True)
    ]


def _over(body: Body, driven: Driven) -> Body:
    """The runs of a region as runs over its list."""
    return tuple(_node_over(node, driven) for node in body)


def _node_over(node: Node, driven: Driven) -> Node:
    match node:
        case Run(first, stop, mask):
            left = driven.mask if mask is None else conjunction(mask, driven.mask)
            return Run(first, stop, None if left == TRUE else left, True, False, driven.over, driven.only)
        case Strips(lo, hi, step, body):
            return Strips(lo, hi, step, _over(body, driven))
        case Branch(condition, then, orelse):
            return Branch(condition, _over(then, driven), _over(orelse, driven))
        case _:
            assert_never(node)
