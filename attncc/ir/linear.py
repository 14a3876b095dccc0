"""Gives equal loop bounds one plain form: sums of multiples, with small factors under `//` and `%`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from attncc.ir.expr import (
    ZERO,
    Abs,
    Add,
    Attribute,
    FloorDiv,
    Int,
    IntExpr,
    Max,
    Min,
    Mod,
    Mul,
    Neg,
    Param,
    Select,
    Sub,
    Var,
)

#: A sum of multiples of terms that are not sums themselves; the term ONE_TERM carries the constant.
Sum = Mapping[IntExpr, int]
ONE_TERM = Int(1)


def tidy(expr: IntExpr) -> IntExpr:
    """An equal expression in the plain form; equal sums become equal trees."""
    return _written(_sum(expr))


def successor(expr: IntExpr) -> IntExpr:
    """`expr + 1`, tidy, with the one taken inside `min` and `max`."""
    match expr:
        case Min(left, right):
            return Min(successor(left), successor(right))
        case Max(left, right):
            return Max(successor(left), successor(right))
        case _:
            return tidy(Add(expr, Int(1)))


def _sum(expr: IntExpr) -> Sum:
    match expr:
        case Int(value):
            return {ONE_TERM: value}
        case Var() | Param() | Attribute():
            return {expr: 1}
        case Add(left, right):
            return _plus(_sum(left), _sum(right), 1)
        case Sub(left, right):
            return _plus(_sum(left), _sum(right), -1)
        case Neg(operand):
            return _plus({}, _sum(operand), -1)
        case Mul(left, right):
            return _product(_sum(left), _sum(right))
        case FloorDiv(left, Int(divisor)):
            return _quotient(_sum(left), divisor)
        case Mod(left, Int(divisor)):
            return _remainder(_sum(left), divisor)
        case FloorDiv(left, right):
            return {FloorDiv(tidy(left), right): 1}
        case Mod(left, right):
            return {Mod(tidy(left), right): 1}
        case Abs(operand):
            return {Abs(tidy(operand)): 1}
        case Min(left, right):
            return {Min(tidy(left), tidy(right)): 1}
        case Max(left, right):
            return {Max(tidy(left), tidy(right)): 1}
        case Select(condition, then, orelse):
            return {Select(condition, tidy(then), tidy(orelse)): 1}
        case _:
            assert_never(expr)


def _plus(left: Sum, right: Sum, factor: int) -> Sum:
    total = dict(left)
    for term, count in right.items():
        total[term] = total.get(term, 0) + factor * count
    return {term: count for term, count in total.items() if count}


def _product(left: Sum, right: Sum) -> Sum:
    if set(left) <= {ONE_TERM}:
        left, right = right, left
    if set(right) <= {ONE_TERM}:
        return _plus({}, left, right.get(ONE_TERM, 0))
    return {Mul(_written(left), _written(right)): 1}


def _quotient(total: Sum, divisor: int) -> Sum:
    """floor(total / divisor), whole multiples of the divisor taken out, the first factor left positive."""
    outside = {term: _nearest(count, divisor) for term, count in total.items()}
    rest = _plus(total, outside, -divisor)
    first = next((count for term, count in rest.items() if term != ONE_TERM), 0)
    if not first:
        return _plus({}, {**outside, ONE_TERM: total.get(ONE_TERM, 0) // divisor}, 1)
    if first < 0:
        negated = _plus({ONE_TERM: divisor - 1}, rest, -1)
        return _plus(outside, _quotient(negated, divisor), -1)
    return _plus(outside, {FloorDiv(_written(rest), Int(divisor)): 1}, 1)


def _remainder(total: Sum, divisor: int) -> Sum:
    small = {term: count - divisor * _nearest(count, divisor) for term, count in total.items()}
    rest = _plus({}, {**small, ONE_TERM: total.get(ONE_TERM, 0) % divisor}, 1)
    if set(rest) <= {ONE_TERM}:
        return rest
    return {Mod(_written(rest), Int(divisor)): 1}


def _nearest(count: int, divisor: int) -> int:
    """count / divisor, rounded to the nearest whole number (halves down)."""
    return (2 * count + divisor - 1) // (2 * divisor)


def _written(total: Sum) -> IntExpr:
    """The sum as a tree: added terms, subtracted terms, constant; the constant first where nothing else is added."""
    terms = [pair for pair in total.items() if pair[0] != ONE_TERM]
    constant = (ONE_TERM, total.get(ONE_TERM, 0))
    added, taken = [pair for pair in terms if pair[1] > 0], [pair for pair in terms if pair[1] < 0]
    written: IntExpr | None = None
    for term, count in [*added, *taken, constant] if added or constant[1] <= 0 else [constant, *taken]:
        if count:
            written = _joined(written, term, count)
    return ZERO if written is None else written


def _joined(written: IntExpr | None, term: IntExpr, count: int) -> IntExpr:
    size = Int(abs(count)) if term == ONE_TERM else term if abs(count) == 1 else Mul(Int(abs(count)), term)
    if written is None:
        return size if count > 0 else Int(count) if term == ONE_TERM else Neg(size)
    return Add(written, size) if count > 0 else Sub(written, size)
