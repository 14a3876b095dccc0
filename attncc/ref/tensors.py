"""The value of an expression on PyTorch tensors, on their own device."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import assert_never

import torch
from torch import Tensor

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
    Relation,
    Select,
    Sub,
    Var,
)
from attncc.ir.text import text

RELATIONS: Mapping[Relation, Callable[[Tensor, Tensor], Tensor]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


def evaluate(expr: Expr, values: Mapping[str, Tensor]) -> Tensor:
    """`expr` for integer tensors under the names of its variables and parameters: int64 or bool, broadcast. What sets
    and inputs answer stands under the text of the question (`ref.answers`)."""

    def of(operand: Expr) -> Tensor:
        return evaluate(operand, values)

    match expr:
        case Int(value) | Bool(value):
            return torch.tensor(value)
        case Var(name) | Param(name):
            return values[name]
        case Attribute() | Member():
            return values[text(expr)]
        case Add(left, right):
            return of(left) + of(right)
        case Sub(left, right):
            return of(left) - of(right)
        case Mul(left, right):
            return of(left) * of(right)
        case FloorDiv(left, right):
            return torch.div(of(left), of(right), rounding_mode="floor")
        case Mod(left, right):
            return torch.remainder(of(left), of(right))
        case Neg(operand):
            return -of(operand)
        case Abs(operand):
            return of(operand).abs()
        case Min(left, right):
            return torch.minimum(of(left), of(right))
        case Max(left, right):
            return torch.maximum(of(left), of(right))
        case Select(condition, then, orelse):
            return torch.where(of(condition), of(then), of(orelse))
        case Compare(relation, left, right):
            return RELATIONS[relation](of(left), of(right))
        case And(left, right):
            return of(left) & of(right)
        case Or(left, right):
            return of(left) | of(right)
        case Not(operand):
            return ~of(operand)
        case _:
            assert_never(expr)
