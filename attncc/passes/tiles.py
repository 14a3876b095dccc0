"""Makes the runs of a pattern: full keys bare, partial keys with what is left of the mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import islpy as isl

from attncc.ir.expr import STRIP, TRUE, Add, And, BoolExpr, Compare, Int, IntExpr, Max, Min, Sub, Var, names
from attncc.ir.tile import Body, Branch, Node, Run, Strips
from attncc.passes.arrange import arrange
from attncc.passes.nest import Choice, Interval, Nest, Repeat, Uneven
from attncc.passes.residual import residual
from attncc.passes.split import IN_BOUNDS, Split, touched

FULL, PARTIAL = "full", "partial"
KV, KV_LEN = Var("kv"), Var("kv_len")


@dataclass(frozen=True, slots=True)
class Form:
    """How the loops are written: `strip` is the width of a strip or None for one run through all keys; `apart` as in
    `nest`; `aligned` as in TilePlan; `steps` is what isl may spend."""

    strip: int | None
    apart: bool
    aligned: bool
    steps: int


def tiles(parts: Split, params: Mapping[str, int], block_n: int, form: Form) -> Body:
    """The runs of a mask that is split. Raises Uneven or isl.Error when this form does not suit the mask."""
    return _Runs(parts, block_n).body(
        arrange({FULL: parts.full, PARTIAL: parts.partial}, params, parts.sizes, form.strip, form.apart)
    )


def unsplit(parts: Split, params: Mapping[str, int], form: Form) -> Body:
    """The runs over the keys that some row sees, whether all rows see them or not; raises as `tiles` does."""
    seen = replace(parts, full=parts.full - parts.full, partial=(parts.full | parts.partial).coalesce())
    return _Runs(seen, 1).body(arrange({PARTIAL: seen.partial}, params, seen.sizes, form.strip, form.apart))


def cover(mask: BoolExpr, params: Mapping[str, int], block_m: int, form: Form) -> Body:
    """Masked runs over a convex cover of the keys that some row sees; raises as `tiles` does."""
    sizes, keys = touched(mask, params, block_m, form.aligned, form.steps)
    hull = isl.Set.from_basic_set(keys.remove_divs().simple_hull())
    return tuple(_covered(node, mask) for node in arrange({PARTIAL: hull}, params, sizes, form.strip, form.apart))


def _covered(node: Interval | Repeat | Choice, mask: BoolExpr) -> Node:
    match node:
        case Interval(_, first, stop, _):
            return Run(first, stop, mask, bounded=True, joined=False)
        case Choice(condition, then, orelse):
            inner = (tuple(_covered(each, mask) for each in side) for side in (then, orelse))
            return Branch(condition, *inner)
        case Repeat():
            raise Uneven


class _Runs:
    """Writes the intervals of one split as runs."""

    def __init__(self, parts: Split, block_n: int) -> None:
        self._parts = parts
        self._block_n = block_n
        self._left: set[int] = set()

    def body(self, found: Nest) -> Body:
        """The runs of `found`; written from the end, since a run must know what follows it."""
        return tuple(reversed([self._node(found[at], found[:at]) for at in reversed(range(len(found)))]))

    def _node(self, node: Interval | Repeat | Choice, before: Nest) -> Node:
        match node:
            case Repeat(lo, hi, step, body):
                return Strips(lo, hi, step, self.body(body))
            case Choice(condition, then, orelse):
                return Branch(condition, self.body(then), self.body(orelse))
            case Interval(label, first, _, _) if label == FULL:
                return Run(first, self._stop(node), None, bounded=True, joined=id(node) in self._left)
            case Interval():
                return self._partial(node, _last(before))

    def _stop(self, interval: Interval) -> IntExpr:
        inside = self._pairs(interval).is_subset(self._parts.sets.points(IN_BOUNDS))
        return interval.stop if inside else Min(interval.stop, KV_LEN)

    def _partial(self, interval: Interval, before: Sequence[Interval]) -> Run:
        stop, inside = self._stop(interval), self._pairs(interval) & self._parts.sets.points(IN_BOUNDS)
        joined = bool(before) and all(self._joins(full, interval) for full in before)
        context, bounded = inside, True
        if joined:
            self._left |= {id(full) for full in before}
            context = reduce(isl.Set.union, [self._last_step(full) for full in before], context)
        if self._block_n > 1 and STRIP not in names(interval.first) | names(stop):
            after = self._after(interval, stop)
            bounded = not after.is_disjoint(self._parts.sets.points(self._parts.mask))
            context = context if bounded else context | after
        mask = residual(self._parts.mask, context.coalesce(), self._parts.sets)
        kept = self._parts.sets.points(mask)
        assert (inside & kept).is_equal(inside & self._parts.keep), "what is left of the mask must decide like the mask"
        return Run(interval.first, stop, None if mask == TRUE else mask, bounded, joined)

    def _joins(self, full: Interval, partial: Interval) -> bool:
        """Whether the partial run begins where the full one ends, wherever the full one has a key."""
        full_stop, stop = self._stop(full), self._stop(partial)
        if self._block_n == 1 or STRIP in names(full.first) | names(full_stop) | names(partial.first) | names(stop):
            return False
        begins = And(Compare("==", partial.first, full_stop), Compare("<=", partial.first, stop))
        where = self._parts.sets.points(Compare("<", full.first, full_stop)) & self._parts.pairs
        return bool(where.is_subset(self._parts.sets.points(begins)))

    def _last_step(self, full: Interval) -> isl.Set:
        """The pairs of the full run whose keys may be left to the run after it."""
        near = Compare(">", KV, Sub(self._stop(full), Int(self._block_n)))
        return self._pairs(full) & self._parts.sets.points(And(near, IN_BOUNDS))

    def _after(self, interval: Interval, stop: IntExpr) -> isl.Set:
        """The pairs past the end of a run that its last step reaches."""
        end = Max(interval.first, stop)
        near = And(Compare(">=", KV, end), Compare("<", KV, Add(end, Int(self._block_n - 1))))
        return self._parts.pairs & self._parts.sets.points(near)

    def _pairs(self, interval: Interval) -> isl.Set:
        """{ [q, kv] } : all pairs of the tile's rows and the interval's keys."""
        return interval.keys.insert_dims(isl.dim_type.set, 0, 1) & self._parts.pairs


def _last(found: Nest) -> Sequence[Interval]:
    """The full intervals that can be the last thing visited before a run, one for each way through the choices."""
    match found[-1:]:
        case (Interval(label) as interval,) if label == FULL:
            return [interval]
        case (Choice(_, then, orelse),):
            return [*_last(then), *_last(orelse)]
        case _:
            return []
