"""What does the text of a mask mean, and where is it wrong?"""

from __future__ import annotations

from collections.abc import Mapping

from attncc.errors import PatternFileError
from attncc.ir.expr import TRUE, BoolExpr
from attncc.spec.grammar import Reader, Scope
from attncc.spec.operands import Algebra, Operand, stand_in
from attncc.spec.origin import Origin
from attncc.spec.tokens import Fault, MisreadError, tokens


def parse_mask(text: str, params: Mapping[str, int], lets: Mapping[str, str] | None = None) -> BoolExpr:
    """The tree of `text`, with the expressions of `lets` written out. Raises PatternFileError with every mistake."""
    scope = Scope(params)
    for name, meaning in (lets or {}).items():
        operand, faults = read_expression(meaning, scope, f"let {name}")
        _raise_any(f"let {name}", meaning, faults)
        scope = Scope(params, {**scope.lets, name: operand})
    tree, faults = read_mask(text, scope)
    _raise_any("mask", text, faults)
    return tree


def read_mask(text: str, scope: Scope) -> tuple[BoolExpr, list[Fault]]:
    """The tree of the mask `text` and its mistakes; the tree means nothing if there are any."""
    operand, faults = read_expression(text, scope, "mask")
    if isinstance(operand.expr, BoolExpr):
        return operand.expr, faults
    wrong = Fault(operand.start, operand.end, "a mask is true or false, and this is a number; compare it")
    return TRUE, faults or [wrong]


def read_expression(text: str, scope: Scope, place: str) -> tuple[Operand, list[Fault]]:
    """The operand that `text` stands for and its mistakes, in order; `place` names the text in messages."""
    faults: list[Fault] = []
    try:
        operand = Reader(tokens(text), scope, place, Algebra(faults)).whole()
    except MisreadError as error:
        faults.append(error.fault)
        operand = stand_in(error.fault.start, error.fault.end)
    return operand, sorted(faults, key=lambda fault: fault.start)


def _raise_any(name: str, text: str, faults: list[Fault]) -> None:
    if faults:
        raise PatternFileError([Origin(name, text).diagnostic(fault) for fault in faults])
