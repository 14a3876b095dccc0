"""Breaks conditions that are too long for a line, before their operators."""

from __future__ import annotations

from attncc.codegen.exprs import Printer
from attncc.ir.expr import And, BoolExpr, Compare, Expr, Or

#: Statements longer than this are broken up; they may stand at some depth.
WIDTH = 96


def pieces(printer: Printer, condition: BoolExpr) -> list[str]:
    """`condition` as lines to stand in parentheses: the operands of its outermost `and`, `or` or comparison."""
    language = printer.language
    match condition:
        case And():
            return _joined(printer, _operands(condition, And), language.conjunction)
        case Or():
            return _joined(printer, _operands(condition, Or), language.disjunction)
        case Compare(relation, left, right):
            strength = language.relations[relation] + 1
            return [printer(left, strength), f"{relation} {printer(right, strength)}"]
        case _:
            return [printer(condition)]


def _joined(printer: Printer, operands: list[Expr], operator: tuple[str, int]) -> list[str]:
    sign, strength = operator
    first, *rest = (printer(operand, strength + 1) for operand in operands)
    return [first, *(f"{sign} {operand}" for operand in rest)]


def _operands(expr: Expr, kind: type[And] | type[Or]) -> list[Expr]:
    """The operands of a chain of one kind, left to right."""
    if not isinstance(expr, kind):
        return [expr]
    return [*_operands(expr.left, kind), *_operands(expr.right, kind)]
