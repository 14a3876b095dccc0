"""Prints expressions of the IR as C: loop bounds on int64_t, masks on vectors of query positions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from attncc.codegen.exprs import ATOM, Language, Printer
from attncc.ir.expr import VARIABLES, And, Attribute, BoolExpr, Expr, Max, Member, Min, Or, names
from attncc.ir.text import text

#: Whole numbers and conditions, one value at a time.
SCALARS = Language(
    sums=7,
    products=8,
    unary=9,
    relations={"<": 5, "<=": 5, ">": 5, ">=": 5, "==": 4, "!=": 4},
    conjunction=("&&", 2),
    disjunction=("||", 1),
    negation=("!", 9),
    floor_div="floor_div({}, {})",
    floor_mod="floor_mod({}, {})",
    absolute="magnitude({})",
    minimum="lesser({}, {})",
    maximum="greater({}, {})",
    select="({} ? {} : {})",
    true="1",
    false="0",
)

#: The same for `ivec`, one lane per query: comparisons give -1 or 0, which `&`, `|` and `~` combine.
LANES = replace(
    SCALARS,
    relations=dict.fromkeys(SCALARS.relations, 1),
    conjunction=("&", 3),
    disjunction=("|", 2),
    negation=("~", 9),
    floor_div="FLOOR_DIV({}, {})",
    floor_mod="FLOOR_MOD({}, {})",
    absolute="magnitude_lanes({})",
    minimum="lesser_lanes({}, {})",
    maximum="greater_lanes({}, {})",
    select="choose_lanes({}, {}, {})",
    true="(kv == kv)",
    false="(kv != kv)",
)

WORDS = {"<": "lt", "<=": "le", "==": "eq", "!=": "ne", ">=": "ge", ">": "gt", "+": "plus", "-": "minus", "*": "times"}
WORDS |= {"//": "div", "%": "mod", "[": "of"}
LONGEST_WORD = 40


def local(node: Attribute | Member) -> str:
    """The variable that holds a number of a position in lanes."""
    assert isinstance(node, Attribute), "masks of pairs ask inputs, not sets"
    return f"{node.name}_{node.position}"


@dataclass(frozen=True, slots=True)
class CPrinter(Printer):
    """Puts parentheses where `and` meets `or`, as compilers ask for, and constants into lanes where functions do.
    `given` spells what is chosen or given at run time, as an atom."""

    given: Callable[[Attribute | Member], str] = local

    def _print(self, expr: Expr) -> tuple[str, int]:
        match expr:
            case Attribute() | Member():
                return self.given(expr), ATOM
            case Min(left, right) if self.language is LANES:
                return self.language.minimum.format(self._lanes(left), self._lanes(right)), ATOM
            case Max(left, right) if self.language is LANES:
                return self.language.maximum.format(self._lanes(left), self._lanes(right)), ATOM
            case And(left, right):
                sign, strength = self.language.conjunction
                return f"{self._side(left, Or, strength)} {sign} {self._side(right, Or, strength)}", strength
            case Or(left, right):
                sign, strength = self.language.disjunction
                return f"{self._side(left, And, strength)} {sign} {self._side(right, And, strength)}", strength
            case _:
                return Printer._print(self, expr)

    def _lanes(self, expr: Expr) -> str:
        printed = self(expr)
        constant = all(name not in VARIABLES for name in names(expr))
        return f"spread({printed})" if constant else printed

    def _side(self, side: BoolExpr, other: type[And] | type[Or], strength: int) -> str:
        return self(side, ATOM if isinstance(side, other) else strength)


def macro(mask: BoolExpr, longest: int) -> str | None:
    """The mask as the name of a constant, as in KV_LE_Q; None where it has more letters than `longest`."""
    words = [WORDS.get(word, word) for word in re.findall(r"\w+|\[|[^\w\s()\[\]]+", text(mask))]
    name = "_".join(words).upper()
    return name if len(name) <= longest and re.fullmatch(r"[A-Z]\w*", name) else None
