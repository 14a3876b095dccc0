"""Which pattern is another one inside a model that has a window, capped scores or sink logits of its own?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import cast

import yaml

from attncc.errors import PatternDoesNotFit
from attncc.ir.pattern import SOFTMAX, Alibi, Softcap
from attncc.pattern import Pattern, resolve

#: The input that holds a model's sink logits, one for each query head.
SINKS = "sinks"


@dataclass(frozen=True, slots=True)
class Traits:
    """What a layer of a model does to its attention, whatever the pattern: the last keys that a query sees, itself
    included; the value that scores are softly capped at; whether each head has a sink logit."""

    window: int | None = None
    softcap: float | None = None
    sinks: bool = False


@cache
def dense(traits: Traits) -> Pattern:
    """What a causal layer sees by itself: every key up to the query, or those of its window."""
    if traits.window is None:
        return fitted(resolve("causal"), traits)
    return fitted(Pattern.load("sliding_window", window=traits.window), traits)


@cache
def fitted(pattern: Pattern, traits: Traits) -> Pattern:
    """`pattern` with the scores and the combination of a model of `traits`; its mask stays, and so do its choices.

    A model with sinks is served by patterns that combine by softmax, and by those that have sinks themselves; the
    sinks are the model's then. Raises PatternDoesNotFit where the two do not go together, or where the pattern takes
    inputs, which no model passes.
    """
    bound, document = pattern.bound, _document(pattern)
    sunk = bound.combine.rule == "sink_softmax"
    own = dict(bound.combine.options).get("logit") if sunk else None
    if strange := [one.name for one in bound.inputs if one.name != own]:
        raise PatternDoesNotFit(pattern.name, f"it takes the input '{strange[0]}', which models do not pass")
    if sunk and not traits.sinks:
        raise PatternDoesNotFit(pattern.name, "it has sink logits, and the model has none")
    if traits.sinks and not sunk and bound.combine != SOFTMAX:
        raise PatternDoesNotFit(pattern.name, f"it combines scores by {bound.combine}, and the model has sink logits")
    changed: dict[str, object] = {}
    if traits.softcap is not None:
        changed["score"] = {**cast(Mapping[str, object], document.get("score", {})), "softcap": float(traits.softcap)}
    if traits.sinks:
        changed |= {"inputs": {SINKS: "head"}, "combine": {"sink_softmax": {"logit": SINKS}}}
    return Pattern.from_dict({**document, **changed}, **pattern.params) if changed else pattern


def softcap_of(pattern: Pattern) -> float | None:
    """The value that it caps scores at, if it does."""
    return next((rule.cap for rule in pattern.bound.score if isinstance(rule, Softcap)), None)


@cache
def counts_heads(pattern: Pattern) -> bool:
    """Whether it treats heads by their number, so that it means something else for a part of them."""
    by_number = any(isinstance(rule, Alibi) for rule in pattern.bound.score)
    return by_number or re.search(r"\b(kv_)?head\b", pattern.bound.formula()) is not None


def _document(pattern: Pattern) -> dict[str, object]:
    return cast(dict[str, object], yaml.safe_load(pattern.spec.origin.text))
