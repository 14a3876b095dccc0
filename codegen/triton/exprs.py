"""Prints expressions of the IR as Triton."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from attncc.codegen.exprs import ATOM, Language, Printer
from attncc.codegen.triton.lists import entry_text
from attncc.ir.expr import (
    Abs,
    Add,
    Attribute,
    Expr,
    FloorDiv,
    Int,
    Max,
    Member,
    Min,
    Mod,
    Mul,
    Param,
    Select,
    Sub,
    Var,
)
from attncc.ir.selection import Geometry

#: Python's grammar, for tiles: `&` and `|` bind more tightly than comparisons.
TILES = Language(
    sums=4,
    products=5,
    unary=6,
    relations=dict.fromkeys(("<", "<=", "==", "!=", ">=", ">"), 1),
    conjunction=("&", 3),
    disjunction=("|", 2),
    negation=("~", 6),
    floor_div="floor_div({}, {})",
    floor_mod="floor_mod({}, {})",
    absolute="tl.abs({})",
    minimum="tl.minimum({}, {})",
    maximum="tl.maximum({}, {})",
    select="tl.where({}, {}, {})",
    true="True",
    false="False",
)

#: The same for numbers, where `and`, `or` and `not` read better.
NUMBERS = replace(
    TILES,
    relations=dict.fromkeys(TILES.relations, 4),
    disjunction=("or", 1),
    conjunction=("and", 2),
    negation=("not ", 3),
    sums=5,
    products=6,
    unary=7,
)

#: The least values of the names that have one; positions q may be negative, where there are more queries than keys.
LEAST: Mapping[str, int] = {"kv": 0, "strip": 0, "head": 0, "batch": 0, "q_len": 1, "kv_len": 1}


@dataclass(frozen=True, slots=True)
class TritonPrinter(Printer):
    """Divides with `//` and `%` where neither side can be negative, and with floor_div and floor_mod elsewhere."""

    params: Mapping[str, int]
    lists: Mapping[str, Geometry] = field(default_factory=dict)

    def _print(self, expr: Expr) -> tuple[str, int]:
        lang = self.language
        match expr:
            case Attribute(name, position):
                return f"{name}_{position}", ATOM
            case Member(name):
                return f"contains({name}_entries, {name}_count, {entry_text(name, self.lists[name])})", ATOM
            case FloorDiv(left, right) if self.natural(left):
                return f"{self(left, lang.products)} // {self(right, lang.products + 1)}", lang.products
            case FloorDiv(left, right):
                return lang.floor_div.format(self(left), self(right, lang.products + 1)), ATOM
            case Mod(left, right) if self.natural(left):
                return f"{self(left, lang.products)} % {self(right, lang.products + 1)}", lang.products
            case Mod(left, right):
                return lang.floor_mod.format(self(left), self(right, lang.products + 1)), ATOM
            case _:
                return Printer._print(self, expr)

    def natural(self, expr: Expr) -> bool:
        """Whether `expr` is known not to be negative."""
        least = self._least(expr)
        return least is not None and least >= 0

    def _least(self, expr: Expr) -> int | None:
        """A value that `expr` is known to reach or exceed."""
        match expr:
            case Int(value):
                return value
            case Var(name):
                return LEAST.get(name)
            case Param(name):
                return self.params[name]
            case Abs() | Mod():
                return 0
            case Sub(left, Int(value)):
                return _sum(self._least(left), -value)
            case Add(left, right):
                return _sum(self._least(left), self._least(right))
            case Mul(left, right) if self.natural(left) and self.natural(right):
                return 0
            case FloorDiv(left, _) if self.natural(left):
                return 0
            case Max(left, right):
                return max((side for side in map(self._least, (left, right)) if side is not None), default=None)
            case Min(left, right) | Select(_, left, right):
                return 0 if self.natural(left) and self.natural(right) else None
            case _:
                return None


def _sum(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right
