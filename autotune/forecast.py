"""How long would each schedule of a job take, by the best that is known of the hardware?

Three levels: the figures of data sheets; weights fitted to what was measured on this hardware; and for a schedule that
was measured with another pattern, its own factor, carried over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from attncc import passes
from attncc.autotune.counts import Counts, counts
from attncc.autotune.fit import fitted
from attncc.autotune.gpus import Figures, figures
from attncc.autotune.job import Job
from attncc.autotune.makespan import makespan
from attncc.autotune.model import DATASHEET, Estimate, Weights, estimate
from attncc.autotune.request import Used
from attncc.autotune.steps import Call
from attncc.codegen.triton.heavier import from_first
from attncc.codegen.triton.knobs import LOWERINGS
from attncc.codegen.triton.order import BY_HEAD, Order, together
from attncc.ir.schedule import Schedule
from attncc.ir.tile import TilePlan, Tiling

if TYPE_CHECKING:
    from attncc.lists import Given

Level: TypeAlias = Literal["data sheet", "calibrated", "transferred"]

#: Nanoseconds of a core for one score: what ranks schedules on a CPU are counts and measured factors, not this.
SCORE_NANOS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Observed:
    """Times of a job's schedules that were measured on the hardware of a forecast: microseconds."""

    job: Job
    micros: Mapping[Schedule, float]


@dataclass(slots=True)
class Forecast:
    """Predicts the schedules of a job. `factors` are measured over modelled times of schedules, from other patterns.

    Raises NoModel for a GPU without figures.
    """

    job: Job
    weights: Weights = DATASHEET
    factors: Mapping[Schedule, float] = field(default_factory=dict)
    given: Given | None = None
    _plans: dict[Tiling, TilePlan] = field(default_factory=dict)
    _counts: dict[Tiling, Counts] = field(default_factory=dict)
    _estimates: dict[tuple[Schedule, Used], Estimate] = field(default_factory=dict)

    @property
    def level(self) -> Level:
        """How much is known beyond the pattern."""
        return "transferred" if self.factors else "calibrated" if self.weights.trials else "data sheet"

    def micros(self, schedule: Schedule, used: Used | None = None) -> float:
        """Microseconds of a call, for a kernel that uses so much (None: as much as may be thought before it is
        compiled). On a CPU only their order means something until another pattern was measured."""
        modelled = self.estimate(schedule, used).micros if self.job.device.kind != "cpu" else self._on_cores(schedule)
        return modelled * self._factor(schedule)

    def estimate(self, schedule: Schedule, used: Used | None = None) -> Estimate:
        """The parts and limits of the time on a GPU, found once for each kernel."""
        kernel = schedule, used or assumed(schedule)
        if kernel not in self._estimates:
            job = self.job
            counted, order = self.counts(schedule), self.order(schedule)
            call = Call(counted, job.operands, *kernel, job.shape, job.device.units, self.figures(), order)
            self._estimates[kernel] = estimate(call, self.weights)
        return self._estimates[kernel]

    def figures(self) -> Figures:
        return figures(self.job.device)

    def order(self, schedule: Schedule) -> Order:
        """How query tiles follow each other: in a decode, and in Gluon kernels, head by head."""
        job = self.job
        if job.phase == "decode" or dict(schedule.choices).get("lowering", LOWERINGS[0]) != LOWERINGS[0]:
            return BY_HEAD
        side_by_side = together(job.shape, job.operands.dtype, job.device.l2_mib)
        return Order(side_by_side, from_first(self.plan(schedule)))

    def plan(self, schedule: Schedule) -> TilePlan:
        """The plan that a schedule is made for, found once for each tiling."""
        tiling = self.job.backend.tiling(self.job.phase, schedule)
        if tiling not in self._plans:
            self._plans[tiling] = passes.run(self.job.pattern, tiling)
        return self._plans[tiling]

    def counts(self, schedule: Schedule) -> Counts:
        """Steps of the call, found once for each tiling."""
        plan = self.plan(schedule)
        if plan.tiling not in self._counts:
            self._counts[plan.tiling] = counts(plan, self.job.shape, self.given)
        return self._counts[plan.tiling]

    def _factor(self, schedule: Schedule) -> float:
        """Its own factor, or that of the schedule most like it that has one."""
        if not self.factors or schedule in self.factors:
            return self.factors.get(schedule, 1.0)
        return self.factors[min(self.factors, key=lambda other: _unlike(schedule, other))]

    def _on_cores(self, schedule: Schedule) -> float:
        """Scores that are computed, over the cores; query tiles are handed out in order."""
        plan, shape = self.plan(schedule), self.job.shape
        keys = self.counts(schedule).keys
        scores = np.broadcast_to(keys, (shape.batch, shape.q_heads, keys.shape[2])).ravel() * plan.tiling.block_m
        return makespan(scores.astype(np.float64), self.job.device.units) * SCORE_NANOS / 1e3


def _unlike(one: Schedule, other: Schedule) -> float:
    """In how many steps of the choices two schedules of a space differ; numbers are about powers of two."""
    pairs = [(value, other[name]) for name, value in one.choices]
    return sum(
        abs(math.log2(mine / its)) if isinstance(mine, int) and isinstance(its, int) and mine and its else mine != its
        for mine, its in pairs
    )


def assumed(schedule: Schedule) -> Used:
    """What a kernel may be thought to use before it is compiled: what leaves room for a second program of its size."""
    registers = min(255, 32768 // (32 * schedule.number("num_warps")))
    return Used(registers // 2, spill_bytes=0, shared_bytes=32 * 1024, tensor_cores=True)


def learned(job: Job, observed: Sequence[Observed]) -> Forecast:
    """A forecast for `job` that has learned from what was measured with other patterns, shapes or both; all on its
    hardware, in its dtype, head_dim and phase."""
    before = [Forecast(one.job) for one in observed]
    weights = DATASHEET
    if job.device.kind != "cpu":
        trials = [
            (known.estimate(schedule).parts, micros)
            for known, one in zip(before, observed, strict=True)
            for schedule, micros in one.micros.items()
        ]
        weights = fitted([parts for parts, _ in trials], [micros for _, micros in trials])
        before = [Forecast(one.job, weights) for one in observed]
    ratios: dict[Schedule, list[float]] = {}
    for known, one in zip(before, observed, strict=True):
        for schedule, micros in one.micros.items():
            ratios.setdefault(schedule, []).append(micros / known.micros(schedule))
    return Forecast(job, weights, {schedule: float(np.exp(np.mean(np.log(each)))) for schedule, each in ratios.items()})
