"""What does the library hold that tells a forecast more: times of other calls, measured on the same hardware?"""

from __future__ import annotations

from collections.abc import Iterator

from attncc.autotune.forecast import Observed
from attncc.autotune.job import Job
from attncc.errors import UnknownParameter, UnknownPattern
from attncc.ir.pattern import Pattern
from attncc.library.entry import LibraryEntry, Timing
from attncc.library.key import KernelKey
from attncc.library.store import KernelLibrary
from attncc.spec import load, lower

#: What must agree before the time of a schedule says anything about that of another call.
ALIKE = ("dtype", "head_dim", "phase", "backend", "space", "hardware")


def observed(job: Job, library: KernelLibrary) -> tuple[Observed, ...]:
    """The measured trials of other calls, in the order of the library. Of patterns that are not shipped the library
    does not know the mask, and says nothing."""
    return tuple(_observed(job, job.key(), library))


def _observed(job: Job, wanted: KernelKey, library: KernelLibrary) -> Iterator[Observed]:
    for entry in library.entries():
        alike = all(getattr(entry.key, name) == getattr(wanted, name) for name in ALIKE)
        if entry.kind != "measured" or not alike or entry.key == wanted:
            continue
        pattern = pattern_of(entry)
        outcomes = {trial.schedule: trial.outcome for trial in library.trials(entry.key)}
        # Trials of other days are comparable by their ratio to the default only.
        micros = {
            schedule: outcome.ratio * entry.default_micros
            for schedule, outcome in outcomes.items()
            if isinstance(outcome, Timing) and job.space().holds(schedule)
        }
        if pattern is not None and micros:
            yield Observed(Job(pattern, job.operands, entry.shape, job.device, job.writer), micros)


def pattern_of(entry: LibraryEntry) -> Pattern | None:
    """The pattern of an entry, if it is shipped and still means the same."""
    try:
        pattern = lower.lower(load.find(entry.key.pattern), dict(entry.params))
    except (UnknownPattern, UnknownParameter):
        return None
    return pattern if pattern.digest() == entry.key.meaning else None
