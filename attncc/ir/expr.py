"""What a mask may say: integer and truth expressions over positions, sizes, heads and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Relation: TypeAlias = Literal["<", "<=", "==", "!=", ">=", ">"]

#: Names a pattern file may use without declaring them.
POSITIONS = ("q", "kv")
SIZES = ("q_len", "kv_len")
OWNERS = ("head", "batch")
VARIABLES = POSITIONS + SIZES + OWNERS

#: Names that exist only inside a TilePlan: first and last query row of the tile, index of a strip of keys.
Q_FIRST, Q_LAST, STRIP = "q_first", "q_last", "strip"


@dataclass(frozen=True, slots=True)
class Int:
    value: int


@dataclass(frozen=True, slots=True)
class Var:
    """One of VARIABLES, or one of the names of a TilePlan."""

    name: str


@dataclass(frozen=True, slots=True)
class Param:
    """An integer parameter of the pattern; its value is in `Pattern.params`."""

    name: str


@dataclass(frozen=True, slots=True)
class Add:
    left: IntExpr
    right: IntExpr


@dataclass(frozen=True, slots=True)
class Sub:
    left: IntExpr
    right: IntExpr


@dataclass(frozen=True, slots=True)
class Mul:
    left: IntExpr
    right: IntExpr


@dataclass(frozen=True, slots=True)
class FloorDiv:
    """Rounds towards minus infinity, as in Python."""

    left: IntExpr
    right: IntExpr


@dataclass(frozen=True, slots=True)
class Mod:
    """Has the sign of the divisor, as in Python."""

    left: IntExpr
    right: IntExpr


@dataclass(frozen=True, slots=True)
class Neg:
    operand: IntExpr


@dataclass(frozen=True, slots=True)
class Abs:
    operand: IntExpr


@dataclass(frozen=True, slots=True)
class Min:
    left: IntExpr
    right: IntExpr


@dataclass(frozen=True, slots=True)
class Max:
    left: IntExpr
    right: IntExpr


@dataclass(frozen=True, slots=True)
class Select:
    """`then` where `condition` holds, else `orelse`. Appears in loop bounds only; pattern files have no such form."""

    condition: BoolExpr
    then: IntExpr
    orelse: IntExpr


@dataclass(frozen=True, slots=True)
class Bool:
    value: bool


@dataclass(frozen=True, slots=True)
class Compare:
    relation: Relation
    left: IntExpr
    right: IntExpr


@dataclass(frozen=True, slots=True)
class And:
    left: BoolExpr
    right: BoolExpr


@dataclass(frozen=True, slots=True)
class Or:
    left: BoolExpr
    right: BoolExpr


@dataclass(frozen=True, slots=True)
class Not:
    operand: BoolExpr


IntExpr: TypeAlias = Int | Var | Param | Add | Sub | Mul | FloorDiv | Mod | Neg | Abs | Min | Max | Select
BoolExpr: TypeAlias = Bool | Compare | And | Or | Not
Expr: TypeAlias = IntExpr | BoolExpr

TRUE, FALSE = Bool(True), Bool(False)
ZERO, ONE = Int(0), Int(1)


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct operands of `expr`, left to right."""
    match expr:
        case Int() | Var() | Param() | Bool():
            return ()
        case Neg(x) | Abs(x) | Not(x):
            return (x,)
        case Select(condition, then, orelse):
            return (condition, then, orelse)
        case _:
            return (expr.left, expr.right)


def names(expr: Expr) -> frozenset[str]:
    """The variables and parameters that `expr` mentions."""
    found: set[str] = set()
    stack: list[Expr] = [expr]
    while stack:
        node = stack.pop()
        if isinstance(node, Var | Param):
            found.add(node.name)
        stack.extend(children(node))
    return frozenset(found)
