"""Which members does a mask ask a set for?"""

from __future__ import annotations

from collections.abc import Mapping

from attncc.ir.expr import FloorDiv, Int, IntExpr, Mul, Param, Sub, Var
from attncc.ir.selection import Geometry

#: What a mask may write before `in`.
FORMS = "'kv', 'kv // size', 'q - kv', 'q // step * step - kv', or '(q // rows, kv // size)'"

Q, KV = Var("q"), Var("kv")


def geometry(row: IntExpr | None, unit: IntExpr, params: Mapping[str, int]) -> Geometry | None:
    """The geometry of a set that is asked for `unit`, or for (row, unit); None if no set can be asked that."""
    size, step = _divisor(unit, KV, params), _step(unit, params)
    rows = None if row is None else _divisor(row, Q, params)
    if row is not None and rows is None:
        return None
    if size is not None:
        return Geometry(size, rows, None)
    return Geometry(1, None, step) if step is not None and row is None else None


def _step(unit: IntExpr, params: Mapping[str, int]) -> int | None:
    """1 for q - kv, the step for q // step * step - kv."""
    match unit:
        case Sub(Var("q"), Var("kv")):
            return 1
        case Sub(Mul(FloorDiv() as first, second), Var("kv")):
            step = _divisor(first, Q, params)
            return step if step == _value(second, params) else None
        case _:
            return None


def _divisor(expr: IntExpr, of: Var, params: Mapping[str, int]) -> int | None:
    """1 for the variable itself, n for variable // n."""
    match expr:
        case Var():
            return 1 if expr == of else None
        case FloorDiv(left, right) if left == of:
            return _value(right, params)
        case _:
            return None


def _value(expr: IntExpr, params: Mapping[str, int]) -> int | None:
    match expr:
        case Int(value):
            return value
        case Param(name):
            return params[name]
        case _:
            return None
