"""Puts the names of the parameters back into the loop bounds, where isl has left their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import islpy as isl

from attncc.ir.expr import (
    ZERO,
    Abs,
    Add,
    And,
    Attribute,
    Bool,
    BoolExpr,
    Compare,
    Expr,
    FloorDiv,
    Int,
    IntExpr,
    Member,
    Mod,
    Mul,
    Neg,
    Not,
    Or,
    Param,
    Select,
    Var,
    children,
    names,
)
from attncc.ir.linear import tidy
from attncc.ir.tile import Body, Branch, Node, Run, Strips
from attncc.passes.nest import Uneven

#: The loops of the pattern for other values of its parameters.
Replan = Callable[[Mapping[str, int]], Body]
Rewrite = Callable[[int], IntExpr]
Change = Callable[[IntExpr], IntExpr]


def named(body: Body, mask: BoolExpr, params: Mapping[str, int], replan: Replan) -> Body:
    """The same loops, with every number that follows a parameter written in terms of it.

    A number follows a parameter when, in loops that are otherwise the same, it changes by a whole multiple of the
    parameter's change: `q_first - 1023` becomes `q_first - window + 1`. The value of no bound changes.
    """
    numbers = _numbers(body)
    written: list[IntExpr] = [Int(number) for number in numbers]
    for name in sorted(params.keys() & names(mask)):
        change = params[name] if _scales(mask, name) else 1
        for at, other in enumerate(_others(body, params, name, change, replan)):
            times, rest = divmod(other - numbers[at], change)
            if times and not rest and abs(times) <= 2 and isinstance(written[at], Int):
                written[at] = tidy(Add(Mul(Int(times), Param(name)), Int(numbers[at] - times * params[name])))
    filled = iter(written)
    return _bounds(_rewritten(body, lambda number: next(filled)), tidy)


def _scales(mask: BoolExpr, name: str) -> bool:
    """Whether the parameter multiplies or divides somewhere, so that only its multiples keep the shape of the loops."""
    stack: list[Expr] = [mask]
    while stack:
        node = stack.pop()
        stack.extend(children(node))
        match node:
            case Mul() if name in names(node):
                return True
            case FloorDiv(_, right) | Mod(_, right) if name in names(right):
                return True
            case _:
                pass
    return False


def _others(body: Body, params: Mapping[str, int], name: str, change: int, replan: Replan) -> list[int]:
    """The numbers of the loops after the change; none if the loops have another shape."""
    if not change:
        return []
    try:
        other = replan({**params, name: params[name] + change})
    except (Uneven, isl.Error):
        return []
    return _numbers(other) if _shape(other) == _shape(body) else []


def _shape(body: Body) -> Body:
    return _rewritten(body, lambda number: ZERO)


def _numbers(body: Body) -> list[int]:
    found: list[int] = []

    def note(number: int) -> IntExpr:
        found.append(number)
        return ZERO

    _rewritten(body, note)
    return found


def _rewritten(body: Body, rewrite: Rewrite) -> Body:
    """The loops with every number of an end or condition rewritten, in the order of the text."""
    return _bounds(body, lambda bound: _number(bound, rewrite))


def _bounds(body: Body, change: Change) -> Body:
    """The loops with every integer expression of an end or condition changed, in the order of the text."""
    return tuple(_node(node, change) for node in body)


def _node(node: Node, change: Change) -> Node:
    match node:
        case Run(first, stop):
            return replace(node, first=change(first), stop=change(stop))
        case Strips(lo, hi, step, body):
            return Strips(change(lo), change(hi), step, _bounds(body, change))
        case Branch(condition, then, orelse):
            return Branch(_truth(condition, change), _bounds(then, change), _bounds(orelse, change))


def _truth(expr: BoolExpr, change: Change) -> BoolExpr:
    match expr:
        case Bool() | Member():
            return expr
        case Compare(relation, left, right):
            return Compare(relation, change(left), change(right))
        case Not(operand):
            return Not(_truth(operand, change))
        case And(left, right) | Or(left, right):
            return type(expr)(_truth(left, change), _truth(right, change))


def _number(expr: IntExpr, rewrite: Rewrite) -> IntExpr:
    match expr:
        case Int(number):
            return rewrite(number)
        case Var() | Param() | Attribute():
            return expr
        case Neg(operand) | Abs(operand):
            return type(expr)(_number(operand, rewrite))
        case Select(condition, then, orelse):
            test = _truth(condition, lambda bound: _number(bound, rewrite))
            return Select(test, _number(then, rewrite), _number(orelse, rewrite))
        case _:
            return type(expr)(_number(expr.left, rewrite), _number(expr.right, rewrite))
