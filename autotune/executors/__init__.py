"""Where are schedules built and timed? On this machine, or on those of a cluster; the tuner and its library stay here.

An executor offers places, each of which tunes one job at a time: all candidates of a job meet on one device. What it
measures comes back as answers; only the process that tunes writes to the library.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from attncc.autotune.job import Job
from attncc.autotune.sampler import Sampler


class Executor(Protocol):
    """Opens a Sampler for a job, on a device that no other job uses until it is closed."""

    @property
    def places(self) -> int:
        """How many jobs may run at once."""
        ...

    def sampler(self, job: Job) -> AbstractContextManager[Sampler]:
        """Waits for a free place. What is asked of a place that is lost raises WorkerLost: the job may be tuned again,
        and goes on from its last trial elsewhere. Raises WorkerLost too if there is no place for the job left."""
        ...

    def close(self) -> None:
        """Gives all places up; jobs that still run end."""
        ...
