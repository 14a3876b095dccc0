"""What bounds a kernel? The steps of its tiles, how evenly they are spread, and on a GPU what each resource alone would
take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attncc.autotune.forecast import Forecast
from attncc.autotune.job import Job
from attncc.autotune.makespan import makespan
from attncc.errors import NoModel
from attncc.ir.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Limits:
    """`masked` is the share of steps that check a mask; `imbalance` by how much uneven tiles prolong the call over an
    even spread; `waves` how often all cores or SMs are filled; `micros` what each resource of a GPU alone would need,
    by the model, the scarcest first; `programs` how many run on an SM at once, and what allows no more."""

    masked: float
    imbalance: float
    waves: float
    micros: tuple[tuple[str, float], ...] = ()
    programs: str = ""


def limits(job: Job, schedule: Schedule) -> tuple[Limits | None, tuple[str, ...]]:
    """The limits, and in words what is left out of them; None where no query sees a key."""
    forecast = Forecast(job)
    counted = forecast.counts(schedule)
    unknown: tuple[str, ...] = ()
    if job.pattern.selections or job.pattern.inputs:
        unknown = ("lengths of lists: a call chooses or brings them, and their expected lengths are counted",)
    steps, masked = float((counted.full + counted.masked).sum()), float(counted.masked.sum())
    if not steps:
        return None, (*unknown, "steps of tiles: no query of this call sees a key")
    if job.device.kind == "cpu":
        return _on_cores(forecast, schedule, masked / steps), (*unknown, "shares of resources: a GPU's are modelled")
    try:
        found = forecast.estimate(schedule)
    except NoModel as error:
        return _on_cores(forecast, schedule, masked / steps), (*unknown, f"shares of resources: {error}")
    alone = tuple(sorted(found.limits.items(), key=lambda limit: -limit[1]))
    programs = f"{found.occupancy.programs} at once, for want of {found.occupancy.limit}"
    told = "registers and shared memory: what a kernel may be thought to use before it is compiled"
    return Limits(masked / steps, found.imbalance, found.waves, alone, programs), (*unknown, told)


def _on_cores(forecast: Forecast, schedule: Schedule, masked: float) -> Limits:
    """From steps alone."""
    counted, shape, units = forecast.counts(schedule), forecast.job.shape, forecast.job.device.units
    steps = (counted.full + counted.masked).astype(np.float64)
    every = np.broadcast_to(steps, (shape.batch, shape.q_heads, steps.shape[2])).ravel()
    return Limits(masked, makespan(every, units) * units / float(every.sum()), every.size / units)
