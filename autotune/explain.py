"""Why does a call run with the schedule it runs with? From what is stored, without measuring or compiling anything."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from attncc import compiler
from attncc.autotune.job import Job
from attncc.autotune.limits import Limits, limits
from attncc.autotune.provenance import made_with
from attncc.autotune.pruned import pruned
from attncc.ir.schedule import Schedule
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
    bounds, unknown = limits(job, schedule)
    return Explanation(
        schedule=schedule,
        built_in=built_in,
        found=found if usable else None,
        ties=found.entry.ties if found and usable else (),
        combined=sum(1 for _ in space.combinations()),
        legal=sum(1 for _ in space.schedules()),
        timed=sum(isinstance(trial.outcome, Timing) for trial in trials),
        pruned=(*_refused(job), *_failed(trials)),
        limits=bounds,
        unknown=unknown,
        near=near[:NEAREST],
        older=_older(job, dict(found.entry.made_with)) if found and found.standing == "exact" else (),
    )


def _stored(job: Job, library: Path) -> tuple[tuple[Trial, ...], tuple[Found, ...]]:
    if not library.exists():
        return (), nearest(job.key(), [all_shipped()])
    with KernelLibrary(library) as store:
        return store.trials(job.key()), nearest(job.key(), [store, all_shipped()])


def _refused(job: Job) -> tuple[Pruned, ...]:
    """Combinations that nobody tries, by what is said of them before anything is compiled."""
    return _grouped(failure.sentence for _, failure in pruned(job))


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


def _older(job: Job, stored: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    """Advisory fields that have changed since; the load of the machine is not one."""
    now = dict(made_with(job.device))
    return tuple(
        (name, value, now[name])
        for name, value in stored.items()
        if name in now and name != "load" and now[name] != value
    )
