"""Which pattern is a spec once its names are bound?"""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import SupportsIndex

from attncc.errors import BadParameter, PatternFileError, UnknownParameter
from attncc.ir.pattern import Pattern
from attncc.spec.bind import bind
from attncc.spec.schema import ParamSpec, PatternSpec


def lower(spec: PatternSpec, overrides: Mapping[str, object] | None = None) -> Pattern:
    """`spec` with `overrides` in place of its defaults. Raises UnknownParameter, BadParameter, or PatternFileError if
    the values make the mask wrong (a divisor of 0)."""
    given = overrides or {}
    known = {param.name: param for param in spec.params}
    for name in given:
        if name not in known:
            raise UnknownParameter(spec.name, name, list(known))
    values = {name: _value(spec, param, given.get(name, param.default)) for name, param in known.items()}
    bound = bind(spec, values)
    if bound.faults:
        raise PatternFileError([spec.origin.diagnostic(fault) for fault in bound.faults])
    words, params = (spec.name, spec.about, spec.source), tuple(values.items())
    rules = bound.mask, spec.score, bound.combine, bound.inputs, bound.selections
    return Pattern(*words, params, *rules, document=spec.origin.text)


def _value(spec: PatternSpec, param: ParamSpec, given: object) -> int:
    """`given` as an integer: Python's, NumPy's, or a one-element integer tensor, but no truth value."""
    if isinstance(given, SupportsIndex) and not isinstance(given, bool):
        try:
            value = index(given)
        except (TypeError, ValueError):
            value = param.low - 1
        if param.low <= value <= param.high:
            return value
    raise BadParameter(spec.name, param.name, repr(given)[:60], param.wanted())
