"""Tunes many jobs on the places of an executor; a job whose place is lost goes on elsewhere from its last trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from attncc.autotune.budget import UNLIMITED, Budget
from attncc.autotune.executors import Executor
from attncc.autotune.job import Job
from attncc.autotune.session import TuneResult
from attncc.autotune.strategies import NOTHING, Prior
from attncc.autotune.tuner import tune
from attncc.errors import AttnccError, WorkerLost
from attncc.library.store import KernelLibrary

#: A job that loses so many places is given up: it may be what ends them.
MOST_LOSSES: Final = 3


@dataclass(frozen=True, slots=True)
class Fleet:
    """Where jobs are tuned and how. All trials and decisions are kept by this process, in the library in `library`;
    `prior` is what the strategy is told of a job."""

    executor: Executor
    library: Path
    budget: Budget = UNLIMITED
    strategy: str = "descent"
    prior: Callable[[Job, KernelLibrary], Prior] = field(default=lambda job, library: NOTHING)
    seed: int = 0

    def tune(self, jobs: Sequence[Job]) -> list[TuneResult | AttnccError]:
        """A result for each job, in order, or why there is none."""
        with ThreadPoolExecutor(max_workers=max(1, self.executor.places)) as pool:
            try:
                return list(pool.map(self._survived, jobs))
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                self.executor.close()
                raise

    def _survived(self, job: Job) -> TuneResult | AttnccError:
        lost: AttnccError | None = None
        for _ in range(MOST_LOSSES):
            try:
                return self._tuned(job)
            except WorkerLost as error:
                lost = error
            except AttnccError as error:
                return error
        assert lost is not None, "a job ends with a result or with what went wrong"
        return lost

    def _tuned(self, job: Job) -> TuneResult:
        work = job.pattern, job.operands, job.shape, job.device
        with KernelLibrary(self.library) as kept, self.executor.sampler(job) as sampler:
            return tune(
                *work,
                library=kept,
                budget=self.budget,
                strategy=self.strategy,
                prior=self.prior(job, kept),
                seed=self.seed,
                writer=job.writer,
                sampler=sampler,
            )
