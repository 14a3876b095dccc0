"""Prints expressions of the IR as Triton."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from attncc.codegen.exprs import Language, Printer
from attncc.ir.expr import (
    Abs,
    Add,
    Expr,
    FloorDiv,
    Int,
    Max,
    Min,
    Mod,
    Mul,
    Param,
    Select,
    Var,
)

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

NATURAL_VARIABLES = frozenset({"kv", "unit", "head", "batch", "q_len", "kv_len"})


@dataclass(frozen=True, slots=True)
class TritonPrinter(Printer):
    """Divides with `//` and `%` where neither side can be negative, and with floor_div and floor_mod elsewhere.

    `divisors` spells the divisors that are a tile size.
    """

    params: Mapping[str, int]
    divisors: Mapping[int, str]

    def _print(self, expr: Expr) -> tuple[str, int]:
        lang = self.language
        match expr:
            case FloorDiv(left, right) if self.natural(left):
                return f"{self(left, lang.products)} // {self._divisor(right)}", lang.products
            case FloorDiv(left, right):
                return lang.floor_div.format(self(left), self._divisor(right)), 100
            case Mod(left, right) if self.natural(left):
                return f"{self(left, lang.products)} % {self._divisor(right)}", lang.products
            case Mod(left, right):
                return lang.floor_mod.format(self(left), self._divisor(right)), 100
            case _:
                return Printer._print(self, expr)

    def natural(self, expr: Expr) -> bool:
        """Whether `expr` is known not to be negative."""
        match expr:
            case Int(value):
                return value >= 0
            case Var(name):
                return name in NATURAL_VARIABLES
            case Param(name):
                return self.params[name] >= 0
            case Add(left, right) | Mul(left, right) | Min(left, right) | Select(_, left, right):
                return self.natural(left) and self.natural(right)
            case FloorDiv(left, _):
                return self.natural(left)
            case Max(left, right):
                return self.natural(left) or self.natural(right)
            case Abs() | Mod():
                return True
            case _:
                return False

    def _divisor(self, expr: Expr) -> str:
        if isinstance(expr, Int) and expr.value in self.divisors:
            return self.divisors[expr.value]
        return self(expr, self.language.products + 1)
