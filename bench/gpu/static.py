"""Times a fixed mask and its peers in the same rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from attncc.report.record import Timing, Workload
from attncc.spec import load, lower
from bench.cases import Case
from bench.clock import Sampled
from bench.gpu import cost, tensors
from bench.gpu.attempt import attempted
from bench.gpu.clock import Place
from bench.gpu.cost import Estimate
from bench.gpu.peers import peers
from bench.gpu.problem import error_of
from bench.peers import Call, Peer, Problem
from bench.problem import workload


@dataclass(frozen=True, slots=True)
class Ready:
    """A peer that has made its first call; `error` is that of its result, None if it means something else."""

    call: Call
    same_result: bool
    error: float | None


def measure(case: Case, estimates: Sequence[Estimate], place: Place, rounds: int) -> tuple[Workload, list[Timing]]:
    """The case with its pairs, and a Timing for each peer, or the reason why it has none. Raises GpuLost."""
    posed = problem(case, place)
    known = peers(place.compiled, any(each.searched for each in estimates))
    asked = [each.part for each in estimates if each.called]
    found = {name: attempted(partial(_ready, known[name], posed)) for name in asked}
    ready = {name: one for name, one in found.items() if isinstance(one, Ready)}
    reasons = {each.part: each.reason for each in estimates if each.reason is not None}
    reasons |= {name: one for name, one in found.items() if isinstance(one, str)}
    timed = place.sampled({name: one.call for name, one in ready.items()}, cost.rounds(estimates, rounds))
    return workload(case, posed), [_timing(case, each.part, place, ready, timed, reasons) for each in estimates]


def _ready(peer: Peer, posed: Problem) -> Ready:
    call, same = peer.prepare(posed), peer.same_result(posed)
    out = call()
    return Ready(call, same, error_of(posed.pattern, (posed.query, posed.key, posed.value), out) if same else None)


def problem(case: Case, place: Place) -> Problem:
    """The tensors of a case, where they are used."""
    query, key, value = tensors.normal(case.shape, case.dtype, place.device)
    params = dict(case.params)
    return Problem(lower.lower(load.find(case.pattern), params), params, case.shape, query, key, value)


def _timing(
    case: Case,
    name: str,
    place: Place,
    ready: Mapping[str, Ready],
    timed: Mapping[str, Sampled],
    reasons: Mapping[str, str],
) -> Timing:
    if name not in ready:
        return Timing(case.name, name, 1, place.clock, False, reason=reasons[name])
    found, one = timed[name], ready[name]
    return Timing(
        case.name, name, 1, place.clock, one.same_result, found.micros, found.spread, found.samples, one.error
    )
