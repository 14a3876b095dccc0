"""Rewrites an expression into its plainest equal form: constants computed, `not` pushed into comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from attncc.ir.expr import (
    FALSE,
    TRUE,
    ZERO,
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
    Relation,
    Select,
    Sub,
    Var,
)

OPPOSITE: Mapping[Relation, Relation] = {"<": ">=", "<=": ">", "==": "!=", "!=": "==", ">=": "<", ">": "<="}


def fold(expr: BoolExpr) -> BoolExpr:
    """An equal expression with `not` before memberships only, without operations on two literals, without idle `true`
    and `false`."""
    match expr:
        case Bool():
            return expr
        case Compare(relation, left, right):
            return _compare(relation, fold_int(left), fold_int(right))
        case Member(name, row, unit):
            return Member(name, None if row is None else fold_int(row), fold_int(unit))
        case And(left, right):
            return conjunction(fold(left), fold(right))
        case Or(left, right):
            return disjunction(fold(left), fold(right))
        case Not(operand):
            return _negate(fold(operand))
        case _:
            assert_never(expr)


def conjunction(left: BoolExpr, right: BoolExpr) -> BoolExpr:
    """`left and right`, plainer where one of them is a literal."""
    if FALSE in (left, right):
        return FALSE
    return right if left == TRUE else left if right in (TRUE, left) else And(left, right)


def disjunction(left: BoolExpr, right: BoolExpr) -> BoolExpr:
    """`left or right`, plainer where one of them is a literal."""
    if TRUE in (left, right):
        return TRUE
    return right if left == FALSE else left if right in (FALSE, left) else Or(left, right)


def fold_int(expr: IntExpr) -> IntExpr:
    """An equal expression in which operations on two literals are done."""
    match expr:
        case Int() | Var() | Param() | Attribute():
            return expr
        case Neg(operand):
            folded = fold_int(operand)
            return Int(-folded.value) if isinstance(folded, Int) else Neg(folded)
        case Abs(operand):
            folded = fold_int(operand)
            return Int(abs(folded.value)) if isinstance(folded, Int) else Abs(folded)
        case Select(condition, then, orelse):
            test = fold(condition)
            yes, no = fold_int(then), fold_int(orelse)
            return yes if test == TRUE else no if test == FALSE else Select(test, yes, no)
        case _:
            return _fold_pair(expr, fold_int(expr.left), fold_int(expr.right))


def _fold_pair(expr: Add | Sub | Mul | FloorDiv | Mod | Min | Max, left: IntExpr, right: IntExpr) -> IntExpr:
    if isinstance(left, Int) and isinstance(right, Int):
        return Int(_operate(expr, left.value, right.value))
    match expr:
        case Add():
            return _sum(left, right)
        case Sub():
            return left if right == ZERO else Sub(left, right)
        case Mul() if left == Int(1):
            return right
        case Mul() | FloorDiv() if right == Int(1):
            return left
        case Mul() if ZERO in (left, right):
            return ZERO
        case _:
            return type(expr)(left, right)


def _sum(left: IntExpr, right: IntExpr) -> IntExpr:
    match left, right:
        case Int(0), _:
            return right
        case _, Int(0):
            return left
        case _, Neg(operand):
            return Sub(left, operand)
        case Neg(operand), _:
            return Sub(right, operand)
        case Int(), _:
            return _sum(right, left)
        case _, Int(value) if value < 0:
            return Sub(left, Int(-value))
        case _:
            return Add(left, right)


def _operate(expr: Add | Sub | Mul | FloorDiv | Mod | Min | Max, left: int, right: int) -> int:
    match expr:
        case Add():
            return left + right
        case Sub():
            return left - right
        case Mul():
            return left * right
        case FloorDiv():
            return left // right
        case Mod():
            return left % right
        case Min():
            return min(left, right)
        case Max():
            return max(left, right)
        case _:
            assert_never(expr)


def _compare(relation: Relation, left: IntExpr, right: IntExpr) -> BoolExpr:
    if isinstance(left, Int) and isinstance(right, Int):
        return Bool(holds(relation, left.value, right.value))
    return Compare(relation, left, right)


def holds(relation: Relation, left: int, right: int) -> bool:
    """Whether the comparison is true of two numbers."""
    match relation:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case "==":
            return left == right
        case "!=":
            return left != right
        case ">=":
            return left >= right
        case ">":
            return left > right
        case _:
            assert_never(relation)


def _negate(expr: BoolExpr) -> BoolExpr:
    match expr:
        case Bool(value):
            return Bool(not value)
        case Compare(relation, left, right):
            return Compare(OPPOSITE[relation], left, right)
        case Member():
            return Not(expr)
        case And(left, right):
            return Or(_negate(left), _negate(right))
        case Or(left, right):
            return And(_negate(left), _negate(right))
        case Not(operand):
            return operand
        case _:
            assert_never(expr)
