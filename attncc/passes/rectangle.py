"""Which pairs of a mask lie in a rectangle of rows and keys, and which pattern keeps just these when called for it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import islpy as isl

from attncc.ir.expr import (
    FALSE,
    TRUE,
    ZERO,
    Add,
    Attribute,
    BoolExpr,
    Compare,
    Int,
    IntExpr,
    Member,
    Not,
    Param,
    Sub,
    Var,
    given,
    names,
    parts,
)
from attncc.ir.fold import conjunction, fold
from attncc.ir.linear import tidy
from attncc.ir.pattern import SOFTMAX, Pattern
from attncc.ir.schedule import Shape
from attncc.ir.selection import Input
from attncc.ir.substitute import Condition, Leaf, conditions, leaves
from attncc.passes.sets import Sets
from attncc.passes.split import STEPS

#: Inputs per token that a rectangle asks at its rows and at its keys are two: its rows lie elsewhere than its keys.
OF_ROWS, OF_KEYS = "{}_of_rows", "{}_of_keys"


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Absolute positions of queries and keys, in steps of one; neither is empty."""

    rows: range
    keys: range

    @property
    def distance(self) -> int:
        """How far the last row lies behind the last key: what is missing in distances that a call counts, whose last
        row and last key are aligned."""
        return self.rows.stop - self.keys.stop


@lru_cache(maxsize=65536)
def seen(pattern: Pattern, rectangle: Rectangle, shape: Shape) -> Rectangle | None:
    """The smallest rectangle around all pairs of `rectangle` that some head or batch of the call may keep, whatever
    sets and inputs are; None if there is no such pair. All of it where isl takes too long to tell."""
    try:
        region = _Region(pattern, rectangle, shape)
        may = region.points(conditions(fold(_sized(pattern.mask, shape)), lambda one: TRUE if given(one) else one))
        pairs = may.project_out(isl.dim_type.param, 0, may.dim(isl.dim_type.param))
        if pairs.is_empty():
            return None
        rows, keys = (
            range(pairs.dim_min_val(at).to_python(), pairs.dim_max_val(at).to_python() + 1) for at in range(2)
        )
        return Rectangle(rows, keys)
    except isl.Error:
        return rectangle


@lru_cache(maxsize=65536)
def cut(pattern: Pattern, rectangle: Rectangle, shape: Shape) -> Pattern:
    """The pattern that keeps the pairs of `rectangle` when it is called with its rows and its keys alone.

    Conditions that hold, or fail, in all of the rectangle are gone, so that many rectangles have one pattern; a mask
    that does not depend on where the rectangle lies keeps its parameters. Weights are those of a softmax, whatever the
    rule of the pattern is. Inputs per token become two each, `OF_ROWS` and `OF_KEYS`, and there may be `padding` before
    the keys. Sets cannot be cut.
    """
    assert not pattern.geometry(), "sets are chosen for whole calls"
    left = _left(pattern, rectangle, shape)
    params = dict(pattern.params)
    missing = padding(pattern, rectangle)
    keys = range(rectangle.keys.start - missing, rectangle.keys.stop)
    there = _moved(left, params, rectangle.rows.stop - len(keys), keys.start)
    if missing:
        there = conjunction(there, Compare(">=", Var("kv"), Int(missing)))
    unmoved = there == _moved(left, params, 0, 0) and not given(left)
    mask = (pattern.mask if left == fold(pattern.mask) else left) if unmoved else there
    named = tuple((name, value) for name, value in pattern.params if name in names(mask))
    return replace(pattern, params=named, mask=mask, combine=SOFTMAX, inputs=tuple(_inputs(pattern, mask)))


def padding(pattern: Pattern, rectangle: Rectangle) -> int:
    """How many keys a call for the rectangle has before its own, which no row sees: where inputs hold numbers of
    positions, a call has as many keys as rows."""
    asks = any(one.per == "token" for one in pattern.inputs)
    return max(0, len(rectangle.rows) - len(rectangle.keys)) if asks else 0


def sized(pattern: Pattern, shape: Shape) -> Pattern:
    """The pattern with the lengths of this call as numbers, so that it keeps the same pairs in calls for fewer rows and
    keys that begin at the same key."""
    return replace(pattern, mask=_sized(pattern.mask, shape))


def follows(pattern: Pattern, shape: Shape) -> bool:
    """Whether no row of such a call may see a key behind it; False where isl takes too long to tell."""
    every = Rectangle(range(shape.kv_len - shape.q_len, shape.kv_len), range(shape.kv_len))
    try:
        region = _Region(pattern, every, shape)
        mask = conditions(fold(_sized(pattern.mask, shape)), lambda one: TRUE if given(one) else one)
        ahead = region.points(mask) & region.points(Compare(">", Var("kv"), Var("q")))
        return bool(ahead.is_empty())
    except isl.Error:
        return False


class _Region:
    """The pairs of a rectangle, for all heads and batches of a call, as a set of isl."""

    def __init__(self, pattern: Pattern, rectangle: Rectangle, shape: Shape) -> None:
        known = isl.Context()
        known.set_max_operations(STEPS)
        rows, keys = rectangle.rows, rectangle.keys
        self._pairs = isl.Set.read_from_str(
            known,
            f"[head, batch] -> {{ [q, kv] : {rows.start} <= q < {rows.stop} and {keys.start} <= kv < {keys.stop} "
            f"and 0 <= head < {shape.q_heads} and 0 <= batch < {shape.batch} }}",
        )
        self._sets = Sets(self._pairs.get_space(), dict(pattern.params))

    def points(self, mask: BoolExpr) -> isl.Set:
        return self._sets.points(mask) & self._pairs

    def decided(self, condition: Condition) -> BoolExpr:
        """The condition, or what it is everywhere in the region."""
        if given(condition):
            return condition
        if self.points(condition).is_empty():
            return FALSE
        return TRUE if self.points(Not(condition)).is_empty() else condition


def _left(pattern: Pattern, rectangle: Rectangle, shape: Shape) -> BoolExpr:
    """What is left of the mask in the rectangle, at absolute positions."""
    mask = fold(_sized(pattern.mask, shape))
    try:
        region = _Region(pattern, rectangle, shape)
        left = fold(conditions(mask, region.decided))
        if not given(left) and region.points(Not(left)).is_empty():
            return TRUE
        return left
    except isl.Error:
        return mask


def _sized(mask: BoolExpr, shape: Shape) -> BoolExpr:
    lengths = {"q_len": Int(shape.q_len), "kv_len": Int(shape.kv_len)}
    return leaves(mask, lambda leaf: lengths.get(leaf.name, leaf) if isinstance(leaf, Var) else leaf)


def _moved(mask: BoolExpr, params: dict[str, int], rows: int, keys: int) -> BoolExpr:
    """The mask of positions from which `rows` (of queries) and `keys` have been taken, parameters as numbers, in a
    plain form."""
    taken = {"q": rows, "kv": keys}

    def change(leaf: Leaf) -> IntExpr:
        match leaf:
            case Var(name) if name in taken:
                return Add(leaf, Int(taken[name]))
            case Param(name):
                return Int(params[name])
            case Attribute(name, position):
                return Attribute((OF_ROWS if position == "q" else OF_KEYS).format(name), position)
            case _:
                return leaf

    return fold(conditions(leaves(mask, change), _plain))


def _plain(condition: Condition) -> BoolExpr:
    """A comparison with all positions on its left and all numbers on its right."""
    if isinstance(condition, Member) or given(condition):
        return condition
    relation = condition.relation
    match tidy(Sub(condition.left, condition.right)):
        case Sub(positions, Int(number)):
            return Compare(relation, positions, Int(number))
        case Add(positions, Int(number)):
            return Compare(relation, positions, Int(-number))
        case Sub(left, right):
            return Compare(relation, left, right)
        case positions:
            return Compare(relation, positions, ZERO)


def _inputs(pattern: Pattern, mask: BoolExpr) -> Iterator[Input]:
    """The inputs that a mask cut from the pattern's asks."""
    asked = {part.name for part in parts(mask) if isinstance(part, Attribute)}
    for one in pattern.inputs:
        for name in (OF_ROWS.format(one.name), OF_KEYS.format(one.name)):
            if name in asked:
                yield replace(one, name=name)
