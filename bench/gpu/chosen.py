"""Times choosing and attending beside dense attention, all cases of one shape in the same rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

import attncc
from attncc.autotune.inputs import drawn
from attncc.giving import given
from attncc.lists import Given, RowLists
from attncc.report.choices import ATTENTION, DENSE, SELECTION
from attncc.report.goals import FLEX
from attncc.report.record import Choice, Timing, Workload
from bench import flex_lists
from bench.cases import Case
from bench.chosen import Posed
from bench.clock import Sampled
from bench.gpu import cost, tensors
from bench.gpu.attempt import attempted
from bench.gpu.cases import Group
from bench.gpu.clock import Place
from bench.gpu.cost import SHARED, Estimate
from bench.gpu.peers import BACKENDS, compiled_flex, dense, with_flex
from bench.gpu.problem import error_of, kept_pairs
from bench.peers import Problem
from bench.problem import SEED

Call: TypeAlias = Callable[[], object]
NOBODY = "no case of this shape could choose its keys"


@dataclass(frozen=True, slots=True)
class Ready:
    """A part that has run once; `error` is that of its result, None if it has none, or means something else."""

    call: Call
    error: float | None


def measure(group: Group, estimates: Sequence[Estimate], place: Place, rounds: int) -> list[Choice]:
    """The choices of cases of one shape. Raises GpuLost."""
    made = tensors.structured(group[0].shape, group[0].dtype, place.device)
    posed = {case.name: attempted(partial(pose, case, made, place)) for case in group}
    anybody = next((one for one in posed.values() if isinstance(one, Posed)), NOBODY)
    found: dict[tuple[str, str], Ready | str] = {}
    for each in estimates:
        name = key(each.case.name, each.part)
        # Dense calls are no case's own: they are made as long as anything is.
        found[name] = _made(each, posed[each.case.name] if name[0] else anybody, place)
    calls = {_joined(name): one.call for name, one in found.items() if isinstance(one, Ready)}
    timed = place.sampled(calls, cost.rounds(estimates, rounds))
    return [_choice(case, posed[case.name], found, timed, place) for case in group]


def _made(each: Estimate, posed: Posed | str, place: Place) -> Ready | str:
    if each.reason is not None:
        return each.reason
    return posed if isinstance(posed, str) else attempted(partial(_ready, posed, each, place))


def key(name: str, part: str) -> tuple[str, str]:
    """What is timed once for all cases has no case."""
    return ("", part) if part in SHARED else (name, part)


def pose(case: Case, made: tuple[Tensor, Tensor, Tensor], place: Place) -> Posed:
    """The case with what it chooses among these tensors."""
    (query, key, value), shape = made, case.shape
    pattern = attncc.Pattern.load(case.pattern, **dict(case.params))
    chance = torch.Generator().manual_seed(SEED)
    inputs = {one.name: drawn(one, shape, chance).to(place.device) for one in pattern.bound.inputs}
    chosen = pattern.select(query, key, scale=None, **inputs)
    held = given(pattern.bound, chosen.lists, inputs, shape.q_len, shape.kv_len)
    return Posed(case, pattern, query, key, value, inputs, chosen, held)


def _ready(posed: Posed, each: Estimate, place: Place) -> Ready:
    """Runs one part once."""
    call = _call(posed, each, place)
    out = call()
    if each.part not in (ATTENTION, FLEX):
        return Ready(call, None)
    assert isinstance(out, Tensor), "attention returns one tensor unless asked for more"
    return Ready(call, error_of(posed.pattern.bound, (posed.query, posed.key, posed.value), out, posed.given))


def _call(posed: Posed, each: Estimate, place: Place) -> Call:
    part = each.part
    if part in BACKENDS:
        return dense(BACKENDS[part], posed.query, posed.key, posed.value)
    if part == FLEX:
        return _flex(posed, place, each.searched)
    return {DENSE: posed.dense, SELECTION: posed.select, ATTENTION: posed.attend}[part]


def _flex(posed: Posed, place: Place, searched: bool) -> Call:
    """FlexAttention with the blocks that the same lists touch, which is the published algorithm without its package."""
    bound, shape = posed.pattern.bound, posed.case.shape
    keep = flex_lists.mask_mod(bound, shape, posed.given)
    blocks = flex_lists.block_mask(bound, shape, on_host(posed.given), keep, place.device)
    problem = Problem(bound, dict(posed.case.params), shape, posed.query, posed.key, posed.value)
    return with_flex(compiled_flex(place.compiled, searched), blocks, problem)


def on_host(found: Given) -> Given:
    """The same lists and numbers in the memory of the host."""
    lists = {
        name: RowLists(one.entries.cpu(), one.start.cpu(), one.count.cpu(), one.overflow.cpu())
        for name, one in found.lists.items()
    }
    tokens = {name: one.cpu() for name, one in found.tokens.items()}
    return Given(lists, tokens, {name: one.cpu() for name, one in found.heads.items()})


def _choice(
    case: Case,
    posed: Posed | str,
    found: Mapping[tuple[str, str], Ready | str],
    timed: Mapping[str, Sampled],
    place: Place,
) -> Choice:
    work = Workload(case.name, case.pattern, case.params, case.shape, case.dtype, 0, None)
    timings = tuple(_timing(case.name, part, found, timed, place) for part in cost.parts(case))
    if isinstance(posed, str):
        return Choice(work, 0, 0, timings)
    work = replace(work, kept_pairs=kept_pairs(posed.pattern.bound, work, posed.given, place.device))
    lists = posed.given.lists.values()
    entries = sum(int(one.count.sum()) * one.entries.element_size() for one in lists)
    return Choice(work, sum(one.nbytes() for one in lists), entries, timings)


def _timing(
    name: str, part: str, found: Mapping[tuple[str, str], Ready | str], timed: Mapping[str, Sampled], place: Place
) -> Timing:
    one = found[key(name, part)]
    if isinstance(one, str):
        return Timing(name, part, 1, place.clock, False, reason=one)
    sampled = timed[_joined(key(name, part))]
    same = part in (SELECTION, ATTENTION, FLEX)
    return Timing(name, part, 1, place.clock, same, sampled.micros, sampled.spread, sampled.samples, one.error)


def _joined(name: tuple[str, str]) -> str:
    return " / ".join(name)
