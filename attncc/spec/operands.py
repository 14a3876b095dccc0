"""Which operations make sense, and what do they make of their operands?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from attncc.ir.expr import (
    ONE,
    TRUE,
    Abs,
    Add,
    And,
    BoolExpr,
    Compare,
    Expr,
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
    Relation,
    Sub,
)
from attncc.spec import reach
from attncc.spec.geometry import FORMS, geometry
from attncc.spec.reach import LONGEST, Reach
from attncc.spec.tokens import INT_LIMIT, Fault, MisreadError, Token

#: Most nodes of one expression, and most operations inside one another, with the names of `let` written out.
MAX_NODES = 20_000
MAX_DEPTH = 200
#: Most mistakes reported in one expression.
MAX_FAULTS = 20

INTEGER_NODES: Mapping[str, Callable[[IntExpr, IntExpr], IntExpr]] = {
    "+": Add,
    "-": Sub,
    "*": Mul,
    "//": FloorDiv,
    "%": Mod,
    "min": Min,
    "max": Max,
}
TRUTH_NODES: Mapping[str, Callable[[BoolExpr, BoolExpr], BoolExpr]] = {"and": And, "or": Or}


@dataclass(frozen=True, slots=True)
class Operand:
    """A part of an expression: its tree, where it stands, and what is known of its value.

    `reach` is None for a truth value. `fixed` says that no variable occurs in it. `wrong` marks the stand-in for a part
    that has been reported already, so that one mistake is reported once.
    """

    expr: Expr
    start: int
    end: int
    reach: Reach | None
    fixed: bool
    nodes: int = 1
    depth: int = 1
    wrong: bool = False


def stand_in(start: int, end: int) -> Operand:
    """What takes the place of a part that has been reported."""
    return Operand(ONE, start, end, Reach(1, 1), fixed=True, wrong=True)


class Algebra:
    """Builds operands from operands; what makes no sense goes to `faults` and is replaced by a stand-in."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults

    def fault(self, start: int, end: int, sentence: str) -> Operand:
        if len(self.faults) >= MAX_FAULTS:
            raise MisreadError(start, end, "more mistakes follow from here")
        self.faults.append(Fault(start, end, sentence))
        return stand_in(start, end)

    def integers(self, symbol: str, left: Operand, right: Operand) -> Operand:
        """left + right, min(left, right) and their like."""
        x, y = self._integer(symbol, left), self._integer(symbol, right)
        if symbol == "*" and not (left.fixed or right.fixed):
            return self.fault(left.start, right.end, "one side of '*' must be a constant (numbers and params only)")
        if symbol in ("//", "%") and not self._divisor(symbol, right):
            return stand_in(left.start, right.end)
        return self._sized(
            INTEGER_NODES[symbol](x, y), (left, right), reach.BINARY[symbol](_reach(left), _reach(right))
        )

    def negative(self, start: int, operand: Operand) -> Operand:
        made = Neg(self._integer("-", operand))
        return self._sized(made, (operand,), reach.UNARY["-"](_reach(operand)), start)

    def magnitude(self, operand: Operand) -> Operand:
        made = Abs(self._integer("abs", operand))
        return self._sized(made, (operand,), reach.UNARY["abs"](_reach(operand)))

    def comparison(self, relation: Relation, left: Operand, right: Operand) -> Operand:
        made = Compare(relation, self._integer(relation, left), self._integer(relation, right))
        return self._sized(made, (left, right), None)

    def membership(
        self, name: Token, row: Operand | None, unit: Operand, start: int, params: Mapping[str, int]
    ) -> Operand:
        """unit in name, or (row, unit) in name."""
        asked = Member(name.text, None if row is None else self._integer("in", row), self._integer("in", unit))
        if geometry(asked.row, asked.unit, params) is None:
            return self.fault(start, name.start - 1, f"no set can be asked for this; what can be asked is {FORMS}")
        whole = replace(unit, end=name.end)
        return self._sized(asked, (whole,) if row is None else (row, whole), None, start)

    def truths(self, symbol: str, left: Operand, right: Operand) -> Operand:
        made = TRUTH_NODES[symbol](self._truth(symbol, left), self._truth(symbol, right))
        return self._sized(made, (left, right), None)

    def negation(self, start: int, operand: Operand) -> Operand:
        return self._sized(Not(self._truth("not", operand)), (operand,), None, start)

    def _integer(self, symbol: str, operand: Operand) -> IntExpr:
        if isinstance(operand.expr, IntExpr):
            return operand.expr
        self.fault(operand.start, operand.end, f"'{symbol}' needs a number here, and this is true or false")
        return ONE

    def _truth(self, symbol: str, operand: Operand) -> BoolExpr:
        if isinstance(operand.expr, BoolExpr):
            return operand.expr
        if not operand.wrong:
            self.fault(
                operand.start, operand.end, f"'{symbol}' needs true or false here, and this is a number; compare it"
            )
        return TRUE

    def _divisor(self, symbol: str, operand: Operand) -> bool:
        if operand.fixed and _reach(operand).low > 0:
            return True
        found = f", and this is {_reach(operand).low}" if operand.fixed else ""
        self.fault(
            operand.start,
            operand.end,
            f"the divisor of '{symbol}' must be a positive constant (numbers and params only){found}",
        )
        return False

    def _sized(self, expr: Expr, parts: tuple[Operand, ...], values: Reach | None, start: int | None = None) -> Operand:
        start, end = parts[0].start if start is None else start, parts[-1].end
        nodes = 1 + sum(part.nodes for part in parts)
        depth = 1 + max(part.depth for part in parts)
        if nodes > MAX_NODES:
            raise MisreadError(start, end, f"more than {MAX_NODES:,} parts, with the names of let written out")
        if depth > MAX_DEPTH:
            raise MisreadError(start, end, f"more than {MAX_DEPTH} operations inside one another")
        if values is not None and values.furthest() >= INT_LIMIT:
            found = f"it can reach {values.furthest():,} at length {LONGEST:,}"
            return self.fault(start, end, f"this leaves 32-bit integers: {found}")
        return Operand(expr, start, end, values, all(part.fixed for part in parts), nodes, depth)


def number(value: int, start: int, end: int) -> Operand:
    """A literal."""
    return Operand(Int(value), start, end, Reach(value, value), fixed=True)


def _reach(operand: Operand) -> Reach:
    return operand.reach or Reach(1, 1)
