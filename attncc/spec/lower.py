"""Which pattern is a spec once its names are bound?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from operator import index
from typing import SupportsIndex

from attncc.errors import BadParameter, PatternFileError, UnknownParameter
from attncc.ir.pattern import Pattern
from attncc.spec.bind import bind
from attncc.spec.schema import ParamSpec, PatternSpec


def lower(spec: PatternSpec, overrides: Mapping[str, object] | None = None) -> Pattern:
    """`spec` with `overrides` in place of its defaults. Raises UnknownParameter, BadParameter, or PatternFileError if
    the values make the mask wrong (a divisor of 0)."""
    return _lowered(spec, overrides) if overrides else _usual(spec)


@lru_cache(maxsize=256)
def _usual(spec: PatternSpec) -> Pattern:
    """With its defaults: asked for by whoever registers, names or calls it."""
    return _lowered(spec, {})


def _lowered(spec: PatternSpec, given: Mapping[str, object]) -> Pattern:
    known = {param.name: param for param in spec.params}
    for name in given:
        if name not in known:
            raise UnknownParameter(spec.name, name, list(known))
    values = {name: _value(spec, param, given.get(name, param.default)) for name, param in known.items()}
    bound = bind(spec, values)
    if bound.faults:
        raise PatternFileError([spec.origin.diagnostic(fault) for fault in bound.faults])
    words, params, text = (spec.name, spec.about, spec.source), tuple(values.items()), spec.origin.text
    return Pattern(*words, params, bound.mask, spec.score, bound.combine, bound.inputs, bound.selections, text)


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
