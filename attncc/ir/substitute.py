"""Rewrites the leaves of an expression, or its conditions, and leaves everything between them as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, assert_never

from attncc.ir.expr import (
    Abs,
    And,
    Attribute,
    Bool,
    BoolExpr,
    Compare,
    Int,
    IntExpr,
    Member,
    Neg,
    Not,
    Or,
    Param,
    Select,
    Var,
)

Leaf: TypeAlias = Int | Var | Param | Attribute
Condition: TypeAlias = Compare | Member


def conditions(expr: BoolExpr, change: Callable[[Condition], BoolExpr]) -> BoolExpr:
    """`expr` with every comparison and membership changed."""
    match expr:
        case Bool():
            return expr
        case Compare() | Member():
            return change(expr)
        case Not(operand):
            return Not(conditions(operand, change))
        case And(left, right) | Or(left, right):
            return type(expr)(conditions(left, change), conditions(right, change))
        case _:
            assert_never(expr)


def leaves(expr: BoolExpr, change: Callable[[Leaf], IntExpr]) -> BoolExpr:
    """`expr` with every number, name and input changed."""

    def within(condition: Condition) -> BoolExpr:
        match condition:
            case Compare(relation, left, right):
                return Compare(relation, leaves_of_number(left, change), leaves_of_number(right, change))
            case Member(name, row, unit):
                asked = None if row is None else leaves_of_number(row, change)
                return Member(name, asked, leaves_of_number(unit, change))
            case _:
                assert_never(condition)

    return conditions(expr, within)


def leaves_of_number(expr: IntExpr, change: Callable[[Leaf], IntExpr]) -> IntExpr:
    """`leaves` for an integer expression."""
    match expr:
        case Int() | Var() | Param() | Attribute():
            return change(expr)
        case Neg(operand) | Abs(operand):
            return type(expr)(leaves_of_number(operand, change))
        case Select(condition, then, orelse):
            sides = (leaves_of_number(side, change) for side in (then, orelse))
            return Select(leaves(condition, change), *sides)
        case _:
            return type(expr)(leaves_of_number(expr.left, change), leaves_of_number(expr.right, change))
