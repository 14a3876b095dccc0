"""Between which numbers an expression lies, and whether it may or must be true, when its variables lie between some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from attncc.ir.expr import (
    Abs,
    Add,
    And,
    Attribute,
    Bool,
    BoolExpr,
    Compare,
    FloorDiv,
    Int,
    IntExpr,
    Max,
    Member,
    Min,
    Mod,
    Mul,
    Neg,
    Not,
    Or,
    Param,
    Select,
    Sub,
    Var,
)

#: More than any number of a mask is; numbers of which nothing is known lie between minus this and this.
FAR = 2**40


@dataclass(frozen=True, slots=True)
class Interval:
    """The integers from `least` to `most`; int64, of one shape or of shapes that broadcast."""

    least: Tensor
    most: Tensor


@dataclass(frozen=True, slots=True)
class Truth:
    """Whether a condition may be true of some of the values that its variables may have, and whether it must of all."""

    may: Tensor
    must: Tensor


@dataclass(frozen=True, slots=True)
class Known:
    """Intervals of variables, parameters and attributes, all on one device; others may be anything."""

    intervals: Mapping[IntExpr, Interval]
    device: torch.device

    def of(self, name: Var | Param | Attribute) -> Interval:
        return self.intervals.get(name, Interval(self.constant(-FAR), self.constant(FAR)))

    def constant(self, value: int) -> Tensor:
        return torch.full((), value, device=self.device)


def number(expr: IntExpr, known: Known) -> Interval:
    """An interval that holds every value of `expr`."""

    def of(operand: IntExpr) -> Interval:
        return number(operand, known)

    match expr:
        case Int(value):
            return Interval(known.constant(value), known.constant(value))
        case Var() | Param() | Attribute():
            return known.of(expr)
        case Add(left, right):
            a, b = of(left), of(right)
            return Interval(a.least + b.least, a.most + b.most)
        case Sub(left, right):
            return of(Add(left, Neg(right)))
        case Neg(operand):
            a = of(operand)
            return Interval(-a.most, -a.least)
        case Mul(left, right):
            return _corners(of(left), of(right), torch.mul)
        case FloorDiv(left, right):
            return _quotient(of(left), of(right))
        case Mod(left, right):
            return _remainder(of(left), of(right))
        case Abs(operand):
            a = of(operand)
            return Interval(torch.maximum(a.least, -a.most).clamp(min=0), torch.maximum(a.most, -a.least))
        case Min(left, right):
            a, b = of(left), of(right)
            return Interval(torch.minimum(a.least, b.least), torch.minimum(a.most, b.most))
        case Max(left, right):
            a, b = of(left), of(right)
            return Interval(torch.maximum(a.least, b.least), torch.maximum(a.most, b.most))
        case Select(_, then, orelse):
            a, b = of(then), of(orelse)
            return Interval(torch.minimum(a.least, b.least), torch.maximum(a.most, b.most))
        case _:
            assert_never(expr)


def truth(expr: BoolExpr, known: Known) -> Truth:
    """What is certain about `expr`; a membership may be either."""
    match expr:
        case Bool(value):
            return Truth(known.constant(value), known.constant(value))
        case Member():
            return Truth(known.constant(True), known.constant(False))
        case Compare():
            return _compare(expr, known)
        case And(left, right):
            a, b = truth(left, known), truth(right, known)
            return Truth(a.may & b.may, a.must & b.must)
        case Or(left, right):
            a, b = truth(left, known), truth(right, known)
            return Truth(a.may | b.may, a.must | b.must)
        case Not(operand):
            a = truth(operand, known)
            return Truth(~a.must, ~a.may)
        case _:
            assert_never(expr)


def _compare(expr: Compare, known: Known) -> Truth:
    left, right = number(expr.left, known), number(expr.right, known)
    match expr.relation:
        case "<":
            return Truth(left.least < right.most, left.most < right.least)
        case "<=":
            return Truth(left.least <= right.most, left.most <= right.least)
        case ">":
            return Truth(left.most > right.least, left.least > right.most)
        case ">=":
            return Truth(left.most >= right.least, left.least >= right.most)
        case "==" | "!=":
            meet = (left.least <= right.most) & (right.least <= left.most)
            same = (left.least == right.most) & (left.most == right.least)
            return Truth(meet, same) if expr.relation == "==" else Truth(~same, ~meet)
        case _:
            assert_never(expr.relation)


def _corners(left: Interval, right: Interval, of: Callable[[Tensor, Tensor], Tensor]) -> Interval:
    """The interval between the extremes that `of` has at the ends of its operands."""
    ends = [of(a, b) for a in (left.least, left.most) for b in (right.least, right.most)]
    every = torch.stack(torch.broadcast_tensors(*ends))
    return Interval(every.amin(0), every.amax(0))


def _quotient(left: Interval, right: Interval) -> Interval:
    positive = right.least > 0
    divisor = Interval(right.least.clamp(min=1), right.most.clamp(min=1))
    found = _corners(left, divisor, lambda a, b: torch.div(a, b, rounding_mode="floor"))
    return Interval(found.least.where(positive, -FAR), found.most.where(positive, FAR))


def _remainder(left: Interval, right: Interval) -> Interval:
    """Exact where one divisor leaves all on one round, else anything below the divisor."""
    positive, size = right.least > 0, right.most.clamp(min=1)
    first = torch.div(left.least, size, rounding_mode="floor")
    single = (right.least == right.most) & (first == torch.div(left.most, size, rounding_mode="floor"))
    least = (left.least - first * size).where(single, 0)
    most = (left.most - first * size).where(single, size - 1)
    return Interval(least.where(positive, -FAR), most.where(positive, FAR))
