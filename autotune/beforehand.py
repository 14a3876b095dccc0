"""What is known of a call before anything is timed? What won for calls like it, and what a model foresees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from math import inf
from typing import Final

from attncc.autotune.effort import Effort
from attncc.autotune.forecast import Forecast, Observed, learned
from attncc.autotune.gpus import figures
from attncc.autotune.job import Job
from attncc.autotune.legality import doubtful
from attncc.autotune.observing import observed
from attncc.autotune.strategies import Prior
from attncc.errors import NoModel
from attncc.ir.schedule import Schedule
from attncc.library.adopt import adopted
from attncc.library.files import all_shipped
from attncc.library.find import nearest, octaves
from attncc.library.store import KernelLibrary

#: So many schedules of other calls are tried early, and of them so many of the same kernels.
MOST_STARTS: Final = 3
MOST_NEAR: Final = 2
#: What must agree before a schedule that won for another pattern is tried early.
WINNERS_SHARE: Final = ("backend", "space", "hardware")
#: A forecast learns from so many other calls, those of the nearest classes: more cost time and say the same.
MOST_OBSERVED: Final = 8


def prior(job: Job, library: KernelLibrary, effort: Effort | None = None) -> Prior:
    """What a strategy is told of `job`; an `effort` says how many schedules may be tried."""
    known = _telling(job, observed(job, library))
    origins = starts(job, library)
    most = None if effort is None else effort.most(job.space(), later=bool(known))
    return Prior(foreseen(job, known), tuple(origins), most, origins)


def foreseen(job: Job, known: Sequence[Observed]) -> Callable[[Schedule], float] | None:
    """Predicts microseconds, learned from `known` at the first question; infinite for what would probably spill. None
    for a GPU without figures."""
    if job.device.kind != "cpu":
        try:
            figures(job.device)
        except NoModel:
            return None

    @cache
    def forecast() -> Forecast:
        return learned(job, known)

    def micros(schedule: Schedule) -> float:
        spills = doubtful(forecast().plan(schedule), job.operands, schedule, job.device.arch)
        return inf if spills else forecast().micros(schedule)

    return micros


def starts(job: Job, library: KernelLibrary, most: int = MOST_STARTS) -> dict[Schedule, str]:
    """Schedules that are worth an early trial, each with where it is from: the decisions nearest to `job`, of the
    library or of what comes with attncc, then what won for other patterns."""
    found: dict[Schedule, str] = {}
    for schedule, origin in (*_near(job, library), *_winners(job, library)):
        if len(found) < most:
            found.setdefault(schedule, origin)
    return found


def _near(job: Job, library: KernelLibrary) -> Iterator[tuple[Schedule, str]]:
    """The decisions for the same pattern that are nearest to the call, as the job's space can express them."""
    space = job.space()
    for found in nearest(job.key(), [library, all_shipped()])[:MOST_NEAR]:
        schedule = adopted(found.entry.schedule, space)
        if schedule is not None:
            yield schedule, f"{found}, {found.entry.key.hardware} {found.entry.key.shape_class}"


def _winners(job: Job, library: KernelLibrary) -> Iterator[tuple[Schedule, str]]:
    """Decisions for other calls with the same knobs on this hardware, those of the same dtype and most decisions first:
    what is fast for one pattern is often fast for the next."""
    key = job.key()
    others = [
        entry
        for entry in library.entries()
        if entry.key != key and all(getattr(entry.key, name) == getattr(key, name) for name in WINNERS_SHARE)
    ]
    calls = Counter(entry.schedule for entry in others)
    ranked = calls + Counter(entry.schedule for entry in others if entry.key.dtype == key.dtype)
    yield from (
        (schedule, f"won {calls[schedule]} of {len(others)} other calls") for schedule, _ in ranked.most_common()
    )


def _telling(job: Job, known: Sequence[Observed]) -> Sequence[Observed]:
    """Those of the nearest classes."""
    wanted = job.key().shape_class

    def apart(one: Observed) -> int:
        return sum(octaves(wanted, one.job.key().shape_class))

    return sorted(known, key=apart)[:MOST_OBSERVED]
