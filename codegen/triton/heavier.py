"""Which end of a call has query tiles with more keys, the first or the last?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Final, assert_never

from attncc.ir.expr import Q_FIRST, Q_LAST, STRIP, TRUE, Attribute, Int, IntExpr, Param, Var
from attncc.ir.fold import fold, fold_int
from attncc.ir.substitute import leaves, leaves_of_number
from attncc.ir.tile import Body, Branch, Run, Strips, TilePlan

#: The call at which the first and the last query tile are compared: so many tiles of as many heads.
TILES: Final = 256
HEADS: Final = 8


@lru_cache(maxsize=4096)
def from_first(plan: TilePlan) -> bool:
    """Whether the first query tile of a long call sees more keys than the last one, all heads considered."""
    first, last = (sum(_keys(plan, tile, head) for head in range(HEADS)) for tile in (0, TILES - 1))
    return first > last


def _keys(plan: TilePlan, tile: int, head: int) -> int:
    """Keys that a query tile of a head visits; of lists, all that they might hold."""
    length, block_m = TILES * plan.tiling.block_m, plan.tiling.block_m
    sizes = {"q_len": length, "kv_len": length, "head": head, "batch": 0}
    ends = {Q_FIRST: tile * block_m, Q_LAST: (tile + 1) * block_m - 1}
    return _of_body(plan.body, {**dict(plan.pattern.params), **sizes, **ends})


def _of_body(body: Body, values: Mapping[str, int]) -> int:
    keys = 0
    for node in body:
        match node:
            case Run(first, stop):
                keys += max(0, _number(stop, values) - _number(first, values))
            case Branch(condition, then, orelse):
                holds = fold(leaves(condition, partial(_known, values))) == TRUE
                keys += _of_body(then if holds else orelse, values)
            case Strips(lo, hi, step, inner):
                keys += _of_strips(range(_number(lo, values), _number(hi, values), step), inner, values)
            case _:
                assert_never(node)
    return keys


def _of_strips(strips: range, inner: Body, values: Mapping[str, int]) -> int:
    """As if each had as many keys as the first and the last one on average: there may be thousands."""
    if not strips:
        return 0
    ends = (_of_body(inner, {**values, STRIP: strip}) for strip in (strips[0], strips[-1]))
    return len(strips) * sum(ends) // 2


def _number(expr: IntExpr, values: Mapping[str, int]) -> int:
    value = fold_int(leaves_of_number(expr, partial(_known, values)))
    assert isinstance(value, Int), "the ends of runs follow from sizes, head, batch and rows"
    return value.value


def _known(values: Mapping[str, int], leaf: Int | Var | Param | Attribute) -> IntExpr:
    match leaf:
        case Var(name) | Param(name):
            return Int(values[name])
        case _:
            return leaf
