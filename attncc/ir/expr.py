"""What a mask may say: integer and truth expressions over positions, sizes, heads and parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Relation: TypeAlias = Literal["<", "<=", "==", "!=", ">=", ">"]
Position: TypeAlias = Literal["q", "kv"]

#: Names a pattern file may use without declaring them.
POSITIONS: tuple[Position, ...] = ("q", "kv")
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
class Attribute:
    """The integer that the input `name` holds for a position: doc[q], doc[kv]."""

    name: str
    position: Position


@dataclass(frozen=True, slots=True)
class Bool:
    value: bool


@dataclass(frozen=True, slots=True)
class Compare:
    relation: Relation
    left: IntExpr
    right: IntExpr


@dataclass(frozen=True, slots=True)
class Member:
    """`unit in name`, or `(row, unit) in name` where each row of queries has a choice of its own.

    `unit` is kv // size for sets of keys, and q // step * step - kv for sets of distances; see `ir.selection.Geometry`.
    """

    name: str
    row: IntExpr | None
    unit: IntExpr


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


IntExpr: TypeAlias = Int | Var | Param | Add | Sub | Mul | FloorDiv | Mod | Neg | Abs | Min | Max | Select | Attribute
BoolExpr: TypeAlias = Bool | Compare | Member | And | Or | Not
Expr: TypeAlias = IntExpr | BoolExpr

TRUE, FALSE = Bool(True), Bool(False)
ZERO, ONE = Int(0), Int(1)


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct operands of `expr`, left to right."""
    match expr:
        case Int() | Var() | Param() | Attribute() | Bool():
            return ()
        case Member(_, row, unit):
            return (unit,) if row is None else (row, unit)
        case Neg(x) | Abs(x) | Not(x):
            return (x,)
        case Select(condition, then, orelse):
            return (condition, then, orelse)
        case _:
            return (expr.left, expr.right)


def parts(expr: Expr) -> Iterator[Expr]:
    """`expr` and everything in it."""
    stack: list[Expr] = [expr]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(children(node))


def names(expr: Expr) -> frozenset[str]:
    """The variables and parameters that `expr` mentions; positions that inputs are asked for count too."""
    found = (part.position if isinstance(part, Attribute) else part for part in parts(expr))
    return frozenset(
        part if isinstance(part, str) else part.name for part in found if isinstance(part, str | Var | Param)
    )


def given(expr: Expr) -> bool:
    """Whether `expr` depends on what is chosen or given at run time: sets and inputs."""
    return any(isinstance(part, Member | Attribute) for part in parts(expr))
