"""How many steps of keys does each query tile take? Exact, from the closed forms of its runs, for all tiles at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from attncc.ir.expr import Q_FIRST, Q_LAST, STRIP
from attncc.ir.schedule import Shape
from attncc.ir.tile import Body, Branch, Run, Strips, TilePlan
from attncc.ref.evaluate import Bools, Ints, constants, number, truth


@dataclass(frozen=True, slots=True)
class Counts:
    """Steps of block_n keys that need no mask, and those that do: int64 [batch, q_heads, query tiles], where batch and
    q_heads are 1 if all are alike."""

    full: Ints
    masked: Ints


@dataclass(frozen=True, slots=True)
class _Taken:
    """The steps taken so far; `rest` are keys of unmasked runs left to a masked run that is still to come."""

    full: Ints
    masked: Ints
    rest: Ints


def counts(plan: TilePlan, shape: Shape) -> Counts:
    """The steps of a call; memory grows with the number of query tiles, not with that of the keys visited."""
    offset, block_m = shape.kv_len - shape.q_len, plan.tiling.block_m
    tiles = np.arange(offset // block_m, (shape.kv_len - 1) // block_m + 1)
    start, stop = tiles * block_m, (tiles + 1) * block_m
    values = constants(plan.pattern, shape.q_len, shape.kv_len) | {
        Q_FIRST: start if plan.aligned else np.maximum(offset, start),
        Q_LAST: stop - 1 if plan.aligned else np.minimum(shape.kv_len, stop) - 1,
        "head": np.arange(shape.q_heads)[:, None],
        "batch": np.arange(shape.batch)[:, None, None],
    }
    none = np.zeros((1, 1, len(tiles)), np.int64)
    taken = _body(plan.body, values, np.ones_like(none, np.bool_), _Taken(none, none, none), plan.tiling.block_n)
    return Counts(taken.full, taken.masked)


def _body(body: Body, values: Mapping[str, Ints], active: Bools, so_far: _Taken, block_n: int) -> _Taken:
    for node in body:
        match node:
            case Branch(condition, then, orelse):
                taken = truth(condition, values)
                so_far = _body(then, values, active & taken, so_far, block_n)
                so_far = _body(orelse, values, active & ~taken, so_far, block_n)
            case Strips():
                so_far = _strips(node, values, active, so_far, block_n)
            case Run(mask=None):
                keys = active * _keys(node, values)
                full, tail = so_far.full + keys // block_n, keys % block_n
                if node.joined:
                    so_far = _Taken(full, so_far.masked, so_far.rest + tail)
                else:
                    so_far = _Taken(full, so_far.masked + (tail > 0), so_far.rest)
            case Run():
                keys = active * _keys(node, values) + (so_far.rest if node.joined else 0)
                so_far = _Taken(so_far.full, so_far.masked + -(-keys // block_n), so_far.rest * (not node.joined))
            case _:
                assert_never(node)
    return so_far


def _keys(run: Run, values: Mapping[str, Ints]) -> Ints:
    keys: Ints = np.maximum(0, number(run.stop, values) - number(run.first, values))
    return keys


def _strips(strips: Strips, values: Mapping[str, Ints], active: Bools, so_far: _Taken, block_n: int) -> _Taken:
    lo, hi = number(strips.lo, values), number(strips.hi, values)
    for turn in range(int(np.max(-((lo - hi) // strips.step), initial=0))):
        strip = lo + turn * strips.step
        so_far = _body(strips.body, {**values, STRIP: strip}, active & (strip < hi), so_far, block_n)
    return so_far
