"""The meaning of an expression: its value for given positions, sizes and heads, in numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

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
    Relation,
    Select,
    Sub,
    Var,
)
from attncc.ir.pattern import Pattern
from attncc.ir.text import text

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]


def number(expr: IntExpr, values: Mapping[str, Ints]) -> Ints:
    """The value of an integer expression; arrays broadcast. Division rounds down, as in Python. What sets and inputs
    answer stands under the text of the question (`ref.answers`)."""
    match expr:
        case Int(value):
            return np.asarray(value, np.int64)
        case Var(name) | Param(name):
            return values[name]
        case Attribute():
            return values[text(expr)]
        case Add(left, right):
            return number(left, values) + number(right, values)
        case Sub(left, right):
            return number(left, values) - number(right, values)
        case Mul(left, right):
            return number(left, values) * number(right, values)
        case FloorDiv(left, right):
            return number(left, values) // number(right, values)
        case Mod(left, right):
            return number(left, values) % number(right, values)
        case Neg(operand):
            return -number(operand, values)
        case Abs(operand):
            return np.abs(number(operand, values))
        case Min(left, right):
            return np.minimum(number(left, values), number(right, values))
        case Max(left, right):
            return np.maximum(number(left, values), number(right, values))
        case Select(condition, then, orelse):
            return np.where(truth(condition, values), number(then, values), number(orelse, values))
        case _:
            assert_never(expr)


def truth(expr: BoolExpr, values: Mapping[str, Ints]) -> Bools:
    """The value of a truth expression; arrays broadcast."""
    match expr:
        case Bool(value):
            return np.asarray(value)
        case Compare(relation, left, right):
            return _compare(relation, number(left, values), number(right, values))
        case Member():
            return values[text(expr)].astype(np.bool_)
        case And(left, right):
            return truth(left, values) & truth(right, values)
        case Or(left, right):
            return truth(left, values) | truth(right, values)
        case Not(operand):
            return np.logical_not(truth(operand, values))
        case _:
            assert_never(expr)


def _compare(relation: Relation, left: Ints, right: Ints) -> Bools:
    match relation:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case "==":
            return np.equal(left, right)
        case "!=":
            return np.not_equal(left, right)
        case ">=":
            return left >= right
        case ">":
            return left > right
        case _:
            assert_never(relation)


def constants(pattern: Pattern, q_len: int, kv_len: int) -> dict[str, Ints]:
    """Values of the parameters and of the sizes."""
    known = {**dict(pattern.params), "q_len": q_len, "kv_len": kv_len}
    return {name: np.asarray(value, np.int64) for name, value in known.items()}


def keep(pattern: Pattern, q_heads: int, q_len: int, kv_len: int, batch: int = 1, rows: Ints | None = None) -> Bools:
    """Which pairs the mask keeps: [batch, q_heads, q_len, kv_len], a broadcast view where heads or batch do not matter.

    Row i is position q = kv_len - q_len + i, so that the last query sees the last key. `rows` asks for some rows only.
    """
    some = np.arange(q_len) if rows is None else rows
    values = constants(pattern, q_len, kv_len)
    values["batch"] = np.arange(batch)[:, None, None, None]
    values["head"] = np.arange(q_heads)[:, None, None]
    values["q"] = kv_len - q_len + some[:, None]
    values["kv"] = np.arange(kv_len)
    return np.broadcast_to(truth(pattern.mask, values), (batch, q_heads, some.size, kv_len))
