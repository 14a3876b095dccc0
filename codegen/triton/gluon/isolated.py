"""Masks as bounds of keys: where a key is added to or subtracted, it stands alone on one side of the comparison.

`q - kv < window` costs a subtraction for every pair, `kv > q - window` one for every row.
"""

from __future__ import annotations

from attncc.ir.expr import Add, And, BoolExpr, Compare, Int, IntExpr, Neg, Not, Or, Relation, Sub, Var, names
from attncc.ir.linear import tidy

TURNED: dict[Relation, Relation] = {"<": ">", "<=": ">=", "==": "==", "!=": "!=", ">=": "<=", ">": "<"}
ZERO = Int(0)


def isolated(mask: BoolExpr) -> BoolExpr:
    """An equal mask."""
    match mask:
        case And(left, right):
            return And(isolated(left), isolated(right))
        case Or(left, right):
            return Or(isolated(left), isolated(right))
        case Not(operand):
            return Not(isolated(operand))
        case Compare(relation, left, right):
            return _compared(relation, left, right) or mask
        case _:
            return mask


def _compared(relation: Relation, left: IntExpr, right: IntExpr) -> BoolExpr | None:
    """The comparison with the key alone on its left; None if it is so already, or cannot be."""
    taken = _taken(Sub(left, right))
    if Var("kv") in (left, right) or taken is None or abs(taken[0]) != 1:
        return None
    sign, rest = taken
    # sign * kv + rest, compared with 0.
    return (
        Compare(relation, Var("kv"), tidy(Neg(rest))) if sign > 0 else Compare(TURNED[relation], Var("kv"), tidy(rest))
    )


def _taken(expr: IntExpr) -> tuple[int, IntExpr] | None:
    """How often the key is in a sum, and the rest of the sum; None if something else is done with the key."""
    match expr:
        case Var("kv"):
            return 1, ZERO
        case Neg(operand):
            inner = _taken(operand)
            return None if inner is None else (-inner[0], Neg(inner[1]))
        case Add(left, right) | Sub(left, right):
            first, second = _taken(left), _taken(right)
            if first is None or second is None:
                return None
            sign = 1 if isinstance(expr, Add) else -1
            rest = Add(first[1], second[1]) if sign > 0 else Sub(first[1], second[1])
            return first[0] + sign * second[0], rest
        case _:
            return None if "kv" in names(expr) else (0, expr)
