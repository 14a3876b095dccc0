"""A kernel that may hang the GPU is launched in a process of its own, which is killed after some seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from attncc.autotune.isolate import Isolated
from attncc.autotune.job import Job
from attncc.autotune.request import Answer, Build, Prepare, Request, Sample
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure

#: A launch takes milliseconds; compiling, and the reference in float64, take their time.
LAUNCH_SECONDS: Final = 20.0
FIRST_SECONDS: Final = 120.0


def outcomes(
    job: Job, schedules: Sequence[Schedule], seconds: float = LAUNCH_SECONDS
) -> Iterator[tuple[Schedule, Failure | None]]:
    """What becomes of each schedule: compiled, then compared with float64, called twice and timed once. What is lost
    with a process that was killed is made again."""
    with Isolated(job) as isolated:
        for schedule in schedules:
            yield schedule, next(_failures(isolated, job, schedule, seconds), None)


def _failures(isolated: Isolated, job: Job, schedule: Schedule, seconds: float) -> Iterator[Failure]:
    """The first is the one that counts: after it nothing is asked."""
    source, control = job.source(schedule), job.source(job.space().default())
    steps: tuple[tuple[Request, float], ...] = (
        # With the first kernel comes the reference.
        (Prepare(control), FIRST_SECONDS),
        (Build(source), FIRST_SECONDS),
        (Prepare(source), seconds),
        (Sample(schedule), seconds),
    )
    for request, patience in steps:
        answer: Answer = isolated.ask(request, patience)
        if isinstance(answer, Failure):
            yield answer
