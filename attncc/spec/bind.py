"""What does a spec mean when its parameters have these values?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attncc.ir.expr import Attribute, BoolExpr, parts
from attncc.ir.pattern import Combine
from attncc.ir.selection import Input, Selection
from attncc.spec.choosing import Choosing, asked_for
from attncc.spec.document import ABSENT, Node, Scalar, Table, within
from attncc.spec.grammar import Scope
from attncc.spec.operands import Operand
from attncc.spec.parse import read_expression, read_mask
from attncc.spec.schema import PatternSpec
from attncc.spec.tokens import Fault
from attncc.spec.values import Values


@dataclass(frozen=True, slots=True)
class Bound:
    """What a spec means, and the mistakes at their places in the file; with any, the rest does not count."""

    mask: BoolExpr
    combine: Combine
    inputs: tuple[Input, ...]
    selections: tuple[Selection, ...]
    faults: list[Fault]


def bind(spec: PatternSpec, params: Mapping[str, int]) -> Bound:
    """The meaning of `spec` with the names of `let` written out and `params` in force."""
    mask, faults = _mask(spec, params)
    values = Values()
    tokens = frozenset(part.name for part in parts(mask) if isinstance(part, Attribute))
    reading = Choosing(
        values, params, None if faults else asked_for(values, mask, params, spec.mask), tokens, spec.origin
    )
    inputs = reading.inputs(spec.inputs)
    selections = reading.selections(spec.select, inputs)
    combine = reading.combine(spec.combine, inputs)
    return Bound(mask, combine, inputs, selections, faults + values.faults)


def _mask(spec: PatternSpec, params: Mapping[str, int]) -> tuple[BoolExpr, list[Fault]]:
    faults: list[Fault] = []
    lets: dict[str, Operand] = {}
    tokens, tables = _inputs(spec.inputs, "token"), _inputs(spec.inputs, "block")
    sets = (*_names(spec.select), *tables)
    for name, scalar in spec.lets:
        lets[name], found = read_expression(scalar.text, Scope(params, dict(lets), sets, tokens), f"let {name}")
        faults += _placed(spec, scalar, found)
    mask, found = read_mask(spec.mask.text, Scope(params, lets, sets, tokens))
    return mask, faults + _placed(spec, spec.mask, found)


def _names(node: Node | None) -> tuple[str, ...]:
    return tuple(key.text for key, _ in node.entries) if isinstance(node, Table) else ()


def _inputs(node: Node | None, per: str) -> tuple[str, ...]:
    """The inputs that hold a value per token, or per block."""
    entries = node.entries if isinstance(node, Table) else ()
    return tuple(key.text for key, entry in entries if _per(entry) == per)


def _per(entry: Node) -> str:
    match entry:
        case Scalar(text):
            return text
        case Table(entries):
            return next((_per(value) for key, value in entries if key.text == "per"), "")
        case _:
            return ""


def _placed(spec: PatternSpec, scalar: Scalar, faults: list[Fault]) -> list[Fault]:
    return [] if scalar is ABSENT else [within(spec.origin, scalar, fault) for fault in faults]
