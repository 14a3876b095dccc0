"""How did the decisions of a library come about? Gathered for the record, from what is stored and from the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from attncc import device
from attncc.autotune.forecast import learned
from attncc.autotune.job import Job, writer_for
from attncc.autotune.observing import observed, pattern_of
from attncc.autotune.policy import POLICIES
from attncc.autotune.pruned import pruned
from attncc.autotune.ranking import Accuracy, accuracy
from attncc.device import DeviceModel
from attncc.errors import AttnccError
from attncc.ir.schedule import Operands, Schedule
from attncc.library.entry import Failure, LibraryEntry, Timing, Trial
from attncc.library.store import KernelLibrary
from attncc.report.record import Tuning


def tunings(library: KernelLibrary, entries: Iterable[LibraryEntry]) -> tuple[Tuning, ...]:
    """The evidence of each entry; of one whose pattern or hardware is not known here, what is stored alone."""
    return tuple(_tuning(library, entry) for entry in entries)


def _tuning(library: KernelLibrary, entry: LibraryEntry) -> Tuning:
    trials, job = library.trials(entry.key), _job(entry)
    refused = list(pruned(job)) if job else []
    failed = [trial.outcome for trial in trials if isinstance(trial.outcome, Failure)]
    level, foreseen, found = _foreseen(library, job, trials) if job else ("", (), None)
    return Tuning(
        key=entry.key.digest(),
        kernel=kernel(entry),
        kind=entry.kind,
        funnel=tuple(_funnel(library, entry, trials, job, len(refused))),
        pruned=tuple(_by_reason([*(failure for _, failure in refused), *failed])),
        best=tuple(accumulate((trial.ratio for trial in trials), min, initial=1.0))[1:],
        level=level,
        foreseen=foreseen,
        rank_correlation=found.rank_correlation if found else None,
        regret_1=found.regret_1 if found else None,
        regret_5=found.regret_5 if found else None,
    )


def kernel(entry: LibraryEntry) -> str:
    """What is called, in one line."""
    key = entry.key
    named = " ".join((key.pattern, *(f"{name}={value}" for name, value in entry.params)))
    return f"{named}, {key.dtype}, d{key.head_dim}, {key.shape_class}"


def _job(entry: LibraryEntry) -> Job | None:
    """What was tuned; None if it cannot be told from the entry, or would have another key today."""
    pattern, hardware = pattern_of(entry), _hardware(entry)
    if pattern is None or hardware is None:
        return None
    operands = Operands(entry.key.dtype, entry.key.head_dim)
    job = Job(pattern, operands, entry.shape, hardware, writer_for(hardware), POLICIES[entry.key.policy])
    return job if job.key() == entry.key else None


def _hardware(entry: LibraryEntry) -> DeviceModel | None:
    host = device.host()
    if host.hardware == entry.key.hardware:
        return host
    try:
        known = device.named(dict(entry.made_with).get("device", ""))
    except AttnccError:
        return None
    return known if known.hardware == entry.key.hardware else None


def _funnel(
    library: KernelLibrary, entry: LibraryEntry, trials: Sequence[Trial], job: Job | None, refused: int
) -> Iterator[tuple[str, int]]:
    """Stages, and how many schedules are left after each; every combination of the knobs to begin with."""
    if job is not None:
        combined = sum(1 for _ in job.space().combinations())
        yield "combinations", combined
        yield "may work", combined - refused
    yield "tried", len(trials)
    timed = sum(isinstance(trial.outcome, Timing) for trial in trials)
    if entry.kind == "predicted":
        yield "compiled and ranked", timed
    else:
        yield "right and timed", timed
        yield "in the last race", len({sample.source for sample in library.samples(entry.key, "confirm")})
    yield "not told apart", 1 + len(entry.ties)


def _by_reason(failures: Iterable[Failure]) -> list[tuple[str, int]]:
    return Counter(failure.reason.replace("_", " ") for failure in failures).most_common()


def _foreseen(
    library: KernelLibrary, job: Job, trials: Sequence[Trial]
) -> tuple[str, tuple[tuple[float, float], ...], Accuracy | None]:
    """The level of the forecast, its pairs, and how good it is."""
    forecast = learned(job, observed(job, library))
    measured = {trial.schedule: trial.ratio for trial in trials if isinstance(trial.outcome, Timing)}
    default = job.space().default()
    base = forecast.micros(default)
    predicted: Mapping[Schedule, float] = {schedule: forecast.micros(schedule) / base for schedule in measured}
    pairs = tuple((predicted[schedule], measured[schedule]) for schedule in measured)
    return forecast.level, pairs, accuracy(predicted, measured)
