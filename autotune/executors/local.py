"""Schedules are built and timed on this machine, one job after another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from attncc.autotune.isolate import Isolated
from attncc.autotune.job import Job
from attncc.autotune.sampler import IsolatedSampler, Sampler
from attncc.autotune.watched import watched


@dataclass(frozen=True, slots=True)
class Local:
    places: int = 1

    @contextmanager
    def sampler(self, job: Job) -> Iterator[Sampler]:
        with Isolated(job) as isolated:
            yield watched(IsolatedSampler(isolated), job.device)

    def close(self) -> None:
        """Nothing outlives a job here."""
