"""Why does a call run with the schedule it runs with? From what is stored, without measuring or compiling anything."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

from attncc import compiler, passes
from attncc.autotune.counts import counts
from attncc.autotune.job import Job
from attncc.autotune.makespan import makespan
from attncc.autotune.provenance import made_with
from attncc.ir.schedule import Schedule, SearchSpace
from attncc.library.entry import Failure, Timing, Trial
from attncc.library.files import all_shipped
from attncc.library.find import Found, nearest
from attncc.library.store import KernelLibrary

NEAREST: Final = 5


@dataclass(frozen=True, slots=True)
class Pruned:
    """So many schedules that were not timed, or not used, and why; `example` is the reason of one in full."""

    reason: str
    schedules: int
    example: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the chosen kernel, from exact counts of the steps of its tiles.

    `masked` is the share of steps that check a mask; `imbalance` by how much uneven tiles prolong the call over an even
    spread; `waves` how often all cores or SMs are filled.
    """

    masked: float
    imbalance: float
    waves: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """`found` is the entry that serves the call, if there is one; `near` are others, the most useful first. `combined`
    counts all combinations of the knobs, `legal` those that can work, `timed` those with a trial. `limits` are missing
    where steps cannot be counted; `unknown` says what is left out. `older` are versions the entry was made with that
    are not those of today: (what, then, now)."""

    schedule: Schedule
    built_in: Schedule
    found: Found | None
    ties: tuple[Schedule, ...]
    combined: int
    legal: int
    timed: int
    pruned: tuple[Pruned, ...]
    limits: Limits | None
    unknown: tuple[str, ...]
    near: tuple[Found, ...]
    older: tuple[tuple[str, str, str], ...]


def explain(job: Job, library: Path) -> Explanation:
    """The explanation for calls like the job's, with the library in this folder (it need not exist)."""
    key, space = job.key(), job.space()
    built_in = compiler.built_in(job.pattern, job.operands, job.phase, job.device)
    found = compiler.chosen(key, library)
    usable = found is not None and space.holds(found.entry.schedule)
    schedule = found.entry.schedule if found and usable else built_in
    trials, near = _stored(job, library)
    limits, unknown = _limits(job, schedule)
    return Explanation(
        schedule=schedule,
        built_in=built_in,
        found=found if usable else None,
        ties=found.entry.ties if found and usable else (),
        combined=_combinations(space),
        legal=sum(1 for _ in space.schedules()),
        timed=sum(isinstance(trial.outcome, Timing) for trial in trials),
        pruned=(*_refused(space), *_failed(trials)),
        limits=limits,
        unknown=unknown,
        near=near[:NEAREST],
        older=_older(job, dict(found.entry.made_with)) if found and found.standing == "exact" else (),
    )


def _stored(job: Job, library: Path) -> tuple[tuple[Trial, ...], tuple[Found, ...]]:
    if not library.exists():
        return (), nearest(job.key(), [all_shipped()])
    with KernelLibrary(library) as store:
        return store.trials(job.key()), nearest(job.key(), [store, all_shipped()])


def _combinations(space: SearchSpace) -> int:
    count = 1
    for knob in space.knobs:
        count *= len(knob.choices)
    return count


def _refused(space: SearchSpace) -> tuple[Pruned, ...]:
    """Combinations that cannot work, by what is said of them before anything is compiled."""
    names = [knob.name for knob in space.knobs]
    combined = (
        Schedule(tuple(zip(names, values, strict=True))) for values in product(*(knob.choices for knob in space.knobs))
    )
    return _grouped(said for schedule in combined if (said := space.refusal(schedule)) is not None)


def _failed(trials: Sequence[Trial]) -> tuple[Pruned, ...]:
    """Trials without a time, by their reason."""
    failures = [trial.outcome for trial in trials if isinstance(trial.outcome, Failure)]
    counted = Counter(failure.reason for failure in failures)
    first = {failure.reason: failure.sentence for failure in reversed(failures)}
    return tuple(Pruned(reason.replace("_", " "), count, first[reason]) for reason, count in counted.most_common())


def _grouped(sentences: Iterable[str]) -> tuple[Pruned, ...]:
    """Sentences that differ in their numbers only are one reason."""
    groups: dict[str, list[str]] = {}
    for sentence in sentences:
        groups.setdefault(re.sub(r"[0-9]+(\.[0-9]+)?", "…", sentence), []).append(sentence)
    return tuple(Pruned(reason, len(said), said[0]) for reason, said in groups.items())


def _limits(job: Job, schedule: Schedule) -> tuple[Limits | None, tuple[str, ...]]:
    unknown = ("shares of products, exponentials and memory: not computed here",)
    if job.pattern.selections or job.pattern.inputs:
        return None, (*unknown, "steps of tiles: they depend on what a call chooses or brings")
    found = counts(passes.run(job.pattern, job.backend.tiling(job.phase, schedule)), job.shape)
    shape = (job.shape.batch, job.shape.q_heads, found.full.shape[2])
    steps = (found.full + found.masked).astype(float)
    every = (steps + 0.0 * found.masked).repeat(shape[0] // steps.shape[0], 0).repeat(shape[1] // steps.shape[1], 1)
    total, ended = float(every.sum()), makespan(every.ravel(), job.device.units)
    if not total:
        return None, (*unknown, "steps of tiles: no query of this call sees a key")
    masked = float(found.masked.sum()) / float(steps.sum())
    return Limits(masked, ended * job.device.units / total, every.size / job.device.units), unknown


def _older(job: Job, stored: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    """Advisory fields that have changed since; the load of the machine is not one."""
    now = dict(made_with(job.device))
    return tuple(
        (name, value, now[name])
        for name, value in stored.items()
        if name in now and name != "load" and now[name] != value
    )
