"""Which schedules does nobody try, and why? And how good was the forecast of those that were tried?"""

from __future__ import annotations

from collections.abc import Iterator

from attncc.autotune.forecast import Forecast, learned
from attncc.autotune.job import Job
from attncc.autotune.legality import doomed
from attncc.autotune.observing import observed
from attncc.autotune.ranking import Accuracy, accuracy
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure, Timing
from attncc.library.store import KernelLibrary


def pruned(job: Job) -> Iterator[tuple[Schedule, Failure]]:
    """Every choice of the knobs that is refused before any compiler runs, in their order, with its reason."""
    space, forecast = job.space(), Forecast(job)
    for schedule in space.combinations():
        sentence = space.refusal(schedule)
        if sentence is not None:
            yield schedule, Failure("refused", sentence)
        elif job.device.kind != "cpu" and schedule != space.default():
            failure = doomed(forecast.plan(schedule), job.operands, schedule, job.device.arch)
            if failure is not None:
                yield schedule, failure


def foreseen(job: Job, library: KernelLibrary) -> Accuracy | None:
    """How well a job's measured trials would have been ranked from all else that the library holds; None for fewer than
    two of them. Raises NoModel for a GPU without figures."""
    forecast = learned(job, observed(job, library))
    trials = library.trials(job.key())
    measured = {trial.schedule: trial.ratio for trial in trials if isinstance(trial.outcome, Timing)}
    return accuracy({schedule: forecast.micros(schedule) for schedule in measured}, measured)
