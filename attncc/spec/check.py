"""Does a file hold a pattern, and if not, what are all of its mistakes?"""

from __future__ import annotations

from collections.abc import Iterator

from attncc.errors import PatternFileError, nearest
from attncc.ir.pattern import ScoreRule
from attncc.spec.bind import bind
from attncc.spec.document import ABSENT, Node, Scalar, Table, document
from attncc.spec.origin import Origin
from attncc.spec.schema import (
    FACTOR_RULES,
    KEYS,
    PARAM_KEYS,
    SWITCH_RULES,
    ParamSpec,
    PatternSpec,
)
from attncc.spec.tokens import INT_LIMIT, Fault, quoted
from attncc.spec.values import Values

#: Most mistakes reported of one file.
MAX_FAULTS = 50


def check(origin: Origin) -> PatternSpec:
    """The pattern that the text of `origin` declares. Raises PatternFileError with every mistake in it."""
    values = Values()
    spec = _pattern(values, document(origin), origin)
    faults = sorted(values.faults + bind(spec, spec.defaults()).faults, key=lambda fault: fault.start)
    if len(faults) > MAX_FAULTS:
        next_one = faults[MAX_FAULTS]
        follow = Fault(next_one.start, next_one.end, f"{len(faults) - MAX_FAULTS:,} more mistakes follow from here")
        faults = [*faults[:MAX_FAULTS], follow]
    if faults:
        raise PatternFileError([origin.diagnostic(fault) for fault in faults])
    return spec


def _pattern(values: Values, top: Table, origin: Origin) -> PatternSpec:
    keys = values.keys(top, KEYS)
    for key in ("pattern", "mask"):
        if key not in keys:
            values.fault(ABSENT, f"the key '{key}' is missing")
    params = tuple(_params(values, keys.get("params")))
    return PatternSpec(
        name=values.identifier(keys["pattern"], "a pattern name") if "pattern" in keys else "",
        about=values.text(keys.get("about")),
        source=values.text(keys.get("source")),
        params=params,
        lets=tuple(_lets(values, keys.get("let"), params)),
        mask=values.scalar(keys.get("mask", ABSENT), "an expression"),
        score=tuple(_score(values, keys.get("score"))),
        inputs=keys.get("inputs"),
        select=keys.get("select"),
        combine=keys.get("combine"),
        origin=origin,
    )


def _params(values: Values, node: Node | None) -> Iterator[ParamSpec]:
    for name, key, value in values.named(node, "params", ()):
        match value:
            case Table():
                yield _param(values, name, key, value)
            case _:
                default = values.integer(value)
                yield ParamSpec(name, default, _lowest(default), INT_LIMIT - 1)


def _param(values: Values, name: str, key: Scalar, table: Table) -> ParamSpec:
    keys = values.keys(table, PARAM_KEYS)
    if "default" not in keys:
        values.fault(key, f"parameter {quoted(name)} has no 'default'")
        return ParamSpec(name, 1, 1, 1)
    default = values.integer(keys["default"])
    low = values.integer(keys["min"]) if "min" in keys else _lowest(default)
    high = values.integer(keys["max"]) if "max" in keys else INT_LIMIT - 1
    param = ParamSpec(name, default, low, high, values.text(keys.get("about")))
    if not low <= default <= high:
        values.fault(keys["default"], f"the default of {quoted(name)} must be {param.wanted()}")
    return param


def _lowest(default: int) -> int:
    """Parameters are not negative, unless their default is."""
    return 0 if default >= 0 else 1 - INT_LIMIT


def _lets(values: Values, node: Node | None, params: tuple[ParamSpec, ...]) -> Iterator[tuple[str, Scalar]]:
    for name, _, value in values.named(node, "let", [param.name for param in params]):
        yield name, values.scalar(value, "an expression")


def _score(values: Values, node: Node | None) -> Iterator[ScoreRule]:
    for key, value in values.distinct(values.table(node, "score")):
        if key.text in FACTOR_RULES:
            yield FACTOR_RULES[key.text](values.factor(value))
        elif key.text not in SWITCH_RULES:
            known = [*FACTOR_RULES, *SWITCH_RULES]
            values.fault(key, f"unknown score rule {quoted(key.text)}; {nearest(key.text[:40], known)}")
        elif values.switch(value):
            yield SWITCH_RULES[key.text]()
