"""Prints expressions in a target language: one printer, one table per language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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

ATOM = 100


@dataclass(frozen=True, slots=True)
class Language:
    """Operators as (spelling, strength), strongest highest; functions as format strings of their operands.

    `floor_div` and `floor_mod` must round towards minus infinity: the machine's own `/` and `%` truncate.
    """

    sums: int
    products: int
    unary: int
    relations: Mapping[str, int]
    conjunction: tuple[str, int]
    disjunction: tuple[str, int]
    negation: tuple[str, int]
    floor_div: str
    floor_mod: str
    absolute: str
    minimum: str
    maximum: str
    select: str
    true: str
    false: str


@dataclass(frozen=True, slots=True)
class Printer:
    """`name` turns a variable or parameter of the IR into the target's spelling of it (always an atom)."""

    language: Language
    name: Callable[[str], str]

    def __call__(self, expr: Expr, place: int = 0) -> str:
        """`expr` as source, in parentheses if it binds less tightly than `place` needs."""
        printed, strength = self._print(expr)
        return f"({printed})" if strength < place else printed

    def _print(self, expr: Expr) -> tuple[str, int]:
        lang = self.language
        match expr:
            case Int(value):
                return str(value), ATOM if value >= 0 else lang.unary
            case Var(name) | Param(name):
                return self.name(name), ATOM
            case Attribute() | Member():
                raise AssertionError("a backend spells what is given at run time in its own way")
            case Bool(value):
                return (lang.true if value else lang.false), ATOM
            case Add(left, Int(value)) if value < 0:
                return f"{self(left, lang.sums)} - {-value}", lang.sums
            case Add(left, right):
                return f"{self(left, lang.sums)} + {self(right, lang.sums + 1)}", lang.sums
            case Sub(left, right):
                return f"{self(left, lang.sums)} - {self(right, lang.sums + 1)}", lang.sums
            case Mul(left, right):
                return f"{self(left, lang.products)} * {self(right, lang.products + 1)}", lang.products
            case FloorDiv(left, right):
                return lang.floor_div.format(self(left), self(right)), ATOM
            case Mod(left, right):
                return lang.floor_mod.format(self(left), self(right)), ATOM
            case Neg(operand):
                return f"-{self(operand, lang.unary + 1)}", lang.unary
            case Abs(operand):
                return lang.absolute.format(self(operand)), ATOM
            case Min(left, right):
                return lang.minimum.format(self(left), self(right)), ATOM
            case Max(left, right):
                return lang.maximum.format(self(left), self(right)), ATOM
            case Select(condition, then, orelse):
                return lang.select.format(self(condition), self(then), self(orelse)), ATOM
            case Compare(relation, left, right):
                strength = lang.relations[relation]
                return f"{self(left, strength + 1)} {relation} {self(right, strength + 1)}", strength
            case And(left, right):
                sign, strength = lang.conjunction
                return f"{self(left, strength)} {sign} {self(right, strength + 1)}", strength
            case Or(left, right):
                sign, strength = lang.disjunction
                return f"{self(left, strength)} {sign} {self(right, strength + 1)}", strength
            case Not(operand):
                sign, strength = lang.negation
                return f"{sign}{self(operand, strength + 1)}", strength
            case _:
                assert_never(expr)
