"""How many steps of keys does each query tile take? From the closed forms of its runs, for all tiles at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import numpy as np

from attncc.autotune import listed
from attncc.ir.expr import Q_FIRST, Q_LAST, STRIP, TRUE
from attncc.ir.schedule import Shape
from attncc.ir.tile import Body, Branch, List, Run, Strips, TilePlan
from attncc.ref.evaluate import Bools, Ints, constants, number, truth

if TYPE_CHECKING:
    from attncc.lists import Given


@dataclass(frozen=True, slots=True)
class Counts:
    """int64 [batch, q_heads, query tiles], where batch and q_heads are 1 if all are alike: steps of keys that need no
    mask, and those that do; how many of both gather their keys by a list; the keys that are visited."""

    full: Ints
    masked: Ints
    gathered: Ints
    keys: Ints


@dataclass(frozen=True, slots=True)
class _Taken:
    """The steps taken so far; `rest` are keys of unmasked runs left to a masked run that is still to come."""

    full: Ints
    masked: Ints
    gathered: Ints
    keys: Ints
    rest: Ints


def counts(plan: TilePlan, shape: Shape, given: Given | None = None, step: int | None = None) -> Counts:
    """The steps of a call, of `step` keys (None: of block_n); memory grows with the number of query tiles, not with
    that of the keys visited.

    They are exact, except that without the lists of the call (`given`) those of the plan are as long as is expected.
    """
    walk = _Walk(plan, shape, given, step or plan.tiling.block_n)
    tiles = walk.tiles()
    none = np.zeros((1, 1, len(tiles)), np.int64)
    taken = walk.body(plan.body, walk.values(tiles), np.ones_like(none, np.bool_), _Taken(none, none, none, none, none))
    return Counts(taken.full, taken.masked, taken.gathered, taken.keys)


@dataclass(frozen=True, slots=True)
class _Walk:
    plan: TilePlan
    shape: Shape
    given: Given | None
    step: int

    def tiles(self) -> Ints:
        offset, block_m = self.shape.kv_len - self.shape.q_len, self.plan.tiling.block_m
        return np.arange(offset // block_m, (self.shape.kv_len - 1) // block_m + 1)

    def values(self, tiles: Ints) -> Mapping[str, Ints]:
        """What expressions may ask of the tiles of all heads and batches."""
        shape, block_m, aligned = self.shape, self.plan.tiling.block_m, self.plan.aligned
        start, stop = tiles * block_m, (tiles + 1) * block_m
        return constants(self.plan.pattern, shape.q_len, shape.kv_len) | {
            Q_FIRST: start if aligned else np.maximum(shape.kv_len - shape.q_len, start),
            Q_LAST: stop - 1 if aligned else np.minimum(shape.kv_len, stop) - 1,
            "head": np.arange(shape.q_heads)[:, None],
            "batch": np.arange(shape.batch)[:, None, None],
        }

    def body(self, body: Body, values: Mapping[str, Ints], active: Bools, so_far: _Taken) -> _Taken:
        for node in body:
            match node:
                case Branch(condition, then, orelse):
                    taken = truth(condition, values)
                    so_far = self.body(then, values, active & taken, so_far)
                    so_far = self.body(orelse, values, active & ~taken, so_far)
                case Strips():
                    so_far = self.strips(node, values, active, so_far)
                case Run():
                    so_far = self.run(node, active * self.keys(node, values), so_far)
                case _:
                    assert_never(node)
        return so_far

    def strips(self, strips: Strips, values: Mapping[str, Ints], active: Bools, so_far: _Taken) -> _Taken:
        lo, hi = number(strips.lo, values), number(strips.hi, values)
        for turn in range(int(np.max(-((lo - hi) // strips.step), initial=0))):
            strip = lo + turn * strips.step
            so_far = self.body(strips.body, {**values, STRIP: strip}, active & (strip < hi), so_far)
        return so_far

    def run(self, run: Run, keys: Ints, so_far: _Taken) -> _Taken:
        """A full run takes whole steps; less than a step is a masked one, or goes into the run that it joins."""
        masked, rest = keys * 0, so_far.rest
        full = keys // self.step if run.mask is None and run.only == TRUE else masked
        tail = keys - full * self.step
        if run.mask is None and run.joined:
            rest = rest + tail
        elif run.joined:
            masked, rest = -(-(tail + rest) // self.step), rest * 0
        else:
            masked = -(-tail // self.step)
        gathered = so_far.gathered + (full + masked if run.over is not None else 0)
        return _Taken(so_far.full + full, so_far.masked + masked, gathered, so_far.keys + keys, rest)

    def keys(self, run: Run, values: Mapping[str, Ints]) -> Ints:
        """Keys that the steps of a run look at: where it goes over a list, whatever `only` says of them."""
        first, stop = number(run.first, values), number(run.stop, values)
        if run.over is None:
            between: Ints = np.maximum(0, stop - first)
            return between
        return listed.keys(self.plan.pattern, self._list(run.over), self.given, self.shape, values, (first, stop))

    def _list(self, name: str) -> List:
        return next(one for one in self.plan.lists if one.name == name)
