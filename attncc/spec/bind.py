"""What does the mask of a spec mean when its parameters have these values?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attncc.ir.expr import BoolExpr
from attncc.spec.document import ABSENT, Scalar, within
from attncc.spec.grammar import Scope
from attncc.spec.operands import Operand
from attncc.spec.parse import read_expression, read_mask
from attncc.spec.schema import PatternSpec
from attncc.spec.tokens import Fault


@dataclass(frozen=True, slots=True)
class Bound:
    """The tree of a mask, and the mistakes of its expressions at their places in the file; with any, no tree counts."""

    mask: BoolExpr
    faults: list[Fault]


def bind(spec: PatternSpec, params: Mapping[str, int]) -> Bound:
    """The mask of `spec` with the names of `let` written out and `params` in force."""
    faults: list[Fault] = []
    lets: dict[str, Operand] = {}
    for name, scalar in spec.lets:
        lets[name], found = read_expression(scalar.text, Scope(params, dict(lets)), f"let {name}")
        faults += _placed(spec, scalar, found)
    mask, found = read_mask(spec.mask.text, Scope(params, lets))
    return Bound(mask, faults + _placed(spec, spec.mask, found))


def _placed(spec: PatternSpec, scalar: Scalar, faults: list[Fault]) -> list[Fault]:
    return [] if scalar is ABSENT else [within(spec.origin, scalar, fault) for fault in faults]
