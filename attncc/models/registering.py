"""Under which names does Transformers find attncc, and what do they mean?"""

from __future__ import annotations

import os
from functools import partial
from typing import Protocol, TypeVar

from attncc.errors import ExtraMissing, PatternDoesNotFit, UnknownPattern
from attncc.models import plan_find
from attncc.models.adapter import attention
from attncc.models.fit import Traits, fitted
from attncc.models.masks import tokens_mask
from attncc.models.plan import Plan
from attncc.models.served import Assignment, assign
from attncc.pattern import SHIPPED, Pattern

NAME = "attncc"
PLAN = "attncc:plan:"


class Settable(Protocol):
    """A model of Transformers, as far as it is asked anything here."""

    def set_attn_implementation(self, attn_implementation: str) -> object: ...


Model = TypeVar("Model", bound=Settable)


def register(what: Pattern | Plan | str | os.PathLike[str] | None = None, *, name: str | None = None) -> str:
    """Tells Transformers of an attention implementation, and returns its name, for `attn_implementation=` and
    `model.set_attn_implementation`.

    Without `what`: "attncc", which is dense (each layer sees what the model lets it see), "attncc:<pattern>" for every
    shipped pattern that models can be served with, and "attncc:plan:<plan>" for every shipped plan. With a Pattern, a
    Plan, the name of a shipped one or the path of a file: that one, under `name`, which must not hold a "/"; if none is
    given, under "attncc:" and what it is, parameters that differ from the pattern's own included.

    Patterns and plans are for causal layers without a window; a layer with a window keeps it, a layer that is not
    causal sees every key. Positions are those of real tokens: padding is left out, see `attncc.models.rows`.
    Raises ExtraMissing, PatternDoesNotFit, and what loading raises.
    """
    if what is None:
        _tell(NAME, None)
        for known in filter(_fits, SHIPPED.values()):
            _tell(f"{NAME}:{known.name}", known)
        for plan in map(plan_find.find, plan_find.shipped()):
            _tell(f"{PLAN}{plan.name}", plan)
        return NAME
    found = what if isinstance(what, Pattern | Plan) else _loaded(what)
    if isinstance(found, Pattern):
        fitted(found, Traits(sinks=_sunk(found)))
    chosen = name or _name(found)
    _tell(chosen, found)
    return chosen


def apply(model: Model, what: Pattern | Plan | str | os.PathLike[str] | None = None) -> Model:
    """`model`, of Transformers, with its attention served by `what`, as `register` takes it. Raises as `register`."""
    model.set_attn_implementation(register(what))
    return model


def _tell(name: str, assignment: Assignment) -> None:
    try:
        from transformers import AttentionInterface, AttentionMaskInterface
    except ModuleNotFoundError as missing:
        raise ExtraMissing("serving models", "hf") from missing
    assign(name, assignment)
    AttentionInterface.register(name, partial(attention, name))
    AttentionMaskInterface.register(name, tokens_mask)


def _loaded(what: str | os.PathLike[str]) -> Pattern | Plan:
    try:
        return Pattern.load(what)
    except UnknownPattern:
        if os.fspath(what) in plan_find.shipped():
            return plan_find.find(what)
        raise


def _name(found: Pattern | Plan) -> str:
    if isinstance(found, Plan):
        return f"{PLAN}{found.name}"
    own = found.spec.defaults()
    changed = ",".join(f"{name}={value}" for name, value in found.params.items() if own[name] != value)
    return f"{NAME}:{found.name}({changed})" if changed else f"{NAME}:{found.name}"


def _sunk(pattern: Pattern) -> bool:
    return pattern.bound.combine.rule == "sink_softmax"


def _fits(pattern: Pattern) -> bool:
    try:
        fitted(pattern, Traits(sinks=_sunk(pattern)))
    except PatternDoesNotFit:
        return False
    return True
