"""Which launches serve a layer, by the name of its attention implementation?"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cache
from typing import TypeAlias

import torch

from attncc.errors import NotAPattern
from attncc.models.fit import Traits, dense, fitted
from attncc.models.grouping import Launch, Role, Share, launches
from attncc.models.plan import Group, ModelSizes, Phase, Plan, PlanTable
from attncc.pattern import SHIPPED, Pattern

#: What a layer runs: every head one pattern, a plan, or what the model itself asks for.
Assignment: TypeAlias = "Pattern | Plan | None"

_assignments: dict[str, Assignment] = {}
_writing = threading.Lock()


def assign(name: str, assignment: Assignment) -> None:
    """Makes `name` mean `assignment` from here on."""
    if not isinstance(assignment, Pattern | Plan | None):
        raise NotAPattern(type(assignment).__name__)
    with _writing:
        _assignments[name] = assignment
        for known in (_launches, _table):
            known.cache_clear()


def assignments() -> Mapping[str, Assignment]:
    """Every name with its meaning."""
    return dict(_assignments)


@torch.compiler.assume_constant_result
def thresholds(name: str) -> tuple[int, ...]:
    """The numbers of keys, in ascending order, from which on some head of `name` is no longer dense."""
    match _assignments[name]:
        case Plan(uses=uses):
            return tuple(sorted({use.dense_below for _, use in uses if use.dense_below}))
        case _:
            return ()


@torch.compiler.assume_constant_result
def layer_launches(
    name: str,
    layer: int,
    sizes: tuple[int, int, int],
    phase: Phase,
    reached: int,
    window: int | None,
    softcap: float | None,
    sinks: bool,
) -> tuple[Launch, ...]:
    """The launches of `layer` of a model with `sizes` (layers, query heads, KV heads), for calls with at least
    `reached` keys, one of the `thresholds`. A layer with a window of its own keeps it, and nothing else.

    Raises PatternDoesNotFit, PlanDoesNotFit, UnknownPattern.
    """
    return _launches(name, layer, ModelSizes(*sizes), phase, reached, Traits(window, softcap, sinks))


@cache
def _launches(
    name: str, layer: int, sizes: ModelSizes, phase: Phase, reached: int, traits: Traits
) -> tuple[Launch, ...]:
    every, assignment = tuple(range(sizes.q_heads)), _assignments[name]
    if traits.window is not None or assignment is None:
        shares = [Share(dense(traits), every)]
    elif isinstance(assignment, Pattern):
        shares = [Share(fitted(assignment, traits), every)]
    else:
        groups = _table(assignment, sizes).groups(layer, phase)
        shares = _joined([_share(group, phase, reached, traits) for group in groups])
    return launches(shares, sizes.q_heads, sizes.kv_heads, copies=phase == "prefill")


@cache
def _table(plan: Plan, sizes: ModelSizes) -> PlanTable:
    return plan.table(sizes)


def _joined(shares: list[Share]) -> list[Share]:
    """Shares that run alike as one: short calls make dense what has other patterns otherwise."""
    heads: dict[tuple[Pattern, Role | None], list[int]] = {}
    for share in shares:
        heads.setdefault((share.pattern, share.role), []).extend(share.heads)
    return [Share(pattern, tuple(sorted(found)), role) for (pattern, role), found in heads.items()]


def _share(group: Group, phase: Phase, reached: int, traits: Traits) -> Share:
    use = group.use
    if use.pattern is None or reached < use.dense_below:
        return Share(dense(traits), group.heads)
    role = Role(use.share, use.reuse, use.refresh if phase == "decode" else 1, use.attend_all)
    return Share(fitted(_loaded(use.pattern, use.params), traits), group.heads, None if role == Role() else role)


@cache
def _loaded(name: str, params: tuple[tuple[str, int], ...]) -> Pattern:
    return Pattern.load(name, **dict(params)) if params or name not in SHIPPED else SHIPPED[name]
