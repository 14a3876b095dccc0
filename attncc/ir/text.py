"""Expressions as text: the notation of pattern files, with parentheses only where precedence needs them."""

from __future__ import annotations

from typing import assert_never

from attncc.ir.expr import (
    Abs,
    Add,
    And,
    Attribute,
    Bool,
    Compare,
    Expr,
    FloorDiv,
    Int,
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

#: Binding strength, loosest first; a child that binds less tightly than its place needs parentheses.
SELECT, OR, AND, NOT, COMPARE, SUM, PRODUCT, UNARY, ATOM = range(9)


def text(expr: Expr, place: int = SELECT) -> str:
    """`expr` in the notation of pattern files; parsing it gives an equal tree."""
    printed, strength = _print(expr)
    return f"({printed})" if strength < place else printed


def _print(expr: Expr) -> tuple[str, int]:
    match expr:
        case Int(value):
            return str(value), ATOM if value >= 0 else UNARY
        case Var(name) | Param(name):
            return name, ATOM
        case Attribute(name, position):
            return f"{name}[{position}]", ATOM
        case Bool(value):
            return ("true" if value else "false"), ATOM
        case Add(left, right):
            return f"{text(left, SUM)} + {text(right, PRODUCT)}", SUM
        case Sub(left, right):
            return f"{text(left, SUM)} - {text(right, PRODUCT)}", SUM
        case Mul(left, right):
            return f"{text(left, PRODUCT)} * {text(right, UNARY)}", PRODUCT
        case FloorDiv(left, right):
            return f"{text(left, PRODUCT)} // {text(right, UNARY)}", PRODUCT
        case Mod(left, right):
            return f"{text(left, PRODUCT)} % {text(right, UNARY)}", PRODUCT
        case Neg(operand):
            return f"-{text(operand, ATOM)}", UNARY
        case Abs(operand):
            return f"abs({text(operand)})", ATOM
        case Min(left, right):
            return f"min({text(left)}, {text(right)})", ATOM
        case Max(left, right):
            return f"max({text(left)}, {text(right)})", ATOM
        case Select(condition, then, orelse):
            return f"{text(then, OR)} if {text(condition, OR)} else {text(orelse, SELECT)}", SELECT
        case Compare(relation, left, right):
            return f"{text(left, SUM)} {relation} {text(right, SUM)}", COMPARE
        case Member(name, row, unit):
            asked = text(unit, SUM) if row is None else f"({text(row)}, {text(unit)})"
            return f"{asked} in {name}", COMPARE
        case And(left, right):
            return f"{text(left, AND)} and {text(right, NOT)}", AND
        case Or(left, right):
            return f"{text(left, OR)} or {text(right, AND)}", OR
        case Not(operand):
            return f"not {text(operand, NOT)}", NOT
        case _:
            assert_never(expr)
