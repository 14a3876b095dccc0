"""Tunes a list of calls one after another: what failed is said and skipped, what was stopped can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import click

from attncc.autotune import beforehand, strategies
from attncc.autotune.budget import Budget, Spending
from attncc.autotune.effort import DEFAULT, EFFORTS
from attncc.autotune.fleet import Fleet
from attncc.autotune.job import Job, writer_for
from attncc.autotune.policy import USUAL, Policy
from attncc.autotune.predict import CANDIDATES, predict
from attncc.autotune.progress import Progress
from attncc.autotune.session import TuneResult
from attncc.autotune.several import Task, tune_all
from attncc.autotune.strategies import Prior
from attncc.autotune.tuner import isolated_sampler, opened, tune
from attncc.autotune.watched import watched
from attncc.cli.bar import TuningBar
from attncc.cli.present import present
from attncc.device import DeviceModel, named
from attncc.errors import AttnccError, PolicyNeedsGpu
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DType, Operands, Shape
from attncc.library.entry import LibraryEntry
from attncc.library.lock import check, locked
from attncc.library.store import KernelLibrary

DONE, FAILED, STOPPED = 0, 1, 130


@dataclass(frozen=True, slots=True)
class Call:
    """What is tuned: a pattern for calls like `shape`."""

    pattern: Pattern
    shape: Shape
    dtype: DType

    @property
    def operands(self) -> Operands:
        return Operands(self.dtype, self.shape.head_dim)


@dataclass(frozen=True, slots=True)
class Search:
    """How it is searched: an effort by name, and what replaces its strategy and its budget. A `shared` budget is
    that of all calls together."""

    effort: str = DEFAULT
    strategy: str | None = None
    budget: Budget | None = None
    shared: bool = False
    policy: Policy = USUAL

    def means(self) -> tuple[str, Budget]:
        """The name of the strategy, and the budget."""
        usual = EFFORTS[self.effort]
        return self.strategy or usual.strategy, self.budget or Budget(seconds=usual.seconds)

    def prior(self, job: Job, library: KernelLibrary) -> Prior:
        """What the strategy is told: what won before, what a model foresees, and how many trials the effort allows,
        unless a budget or a strategy was asked for."""
        free = self.strategy is not None or self.budget is not None
        return beforehand.prior(job, library, None if free else EFFORTS[self.effort])


@dataclass(slots=True)
class Tuning:
    """`done` holds a decision for every call that was finished, whatever happened to the others."""

    calls: Sequence[Call]
    library_path: Path
    search: Search
    done: list[LibraryEntry] = field(default_factory=list)

    def measure(self, place: str) -> int:
        """Tunes on hardware that is here; returns the exit status. Raises NoGpu, PolicyNeedsGpu."""
        device = present(place)
        if device.kind == "cpu" and self.search.policy != USUAL:
            raise PolicyNeedsGpu(str(self.search.policy))
        if self.search.shared:
            return self._together(device)
        strategy, budget = self.search.means()

        def decide(call: Call, library: KernelLibrary, progress: Progress) -> TuneResult:
            work, policy = (call.pattern, call.operands, call.shape, device), self.search.policy
            prior = self.search.prior(Job(*work, writer_for(device), policy), library)
            return tune(
                *work,
                library=library,
                budget=budget,
                strategy=strategy,
                prior=prior,
                policy=policy,
                progress=progress,
            )

        return self._each(decide)

    def measure_on_ray(self, place: str) -> int:
        """Tunes on the machines of a Ray cluster that have the device of this one; returns the exit status."""
        from attncc.autotune.executors.ray import OnRay, connect

        device, (strategy, budget) = present(place), self.search.means()
        jobs = [Job(call.pattern, call.operands, call.shape, device, writer_for(device)) for call in self.calls]
        connect()
        executor = OnRay(device.kind)
        status = DONE
        for result in Fleet(executor, self.library_path, budget, strategy, self.search.prior).tune(jobs):
            if isinstance(result, AttnccError):
                status = failed(result)
            else:
                self.done.append(result.entry)
        executor.close()
        return status

    def look_up(self, target: str | None, place: str, lock: Path) -> None:
        """Finds every call in the lock file, whose kernels must be those that are generated now. Raises NotLocked and
        LockOutdated."""
        device = named(target) if target else present(place)
        for call in self.calls:
            job = Job(call.pattern, call.operands, call.shape, device, writer_for(device))
            entry = locked(lock, job.key())
            check(lock, entry, job.source(entry.schedule).digest())
            self.done.append(entry)

    def predict(self, target: str) -> int:
        """Cross-compiles and ranks by model for hardware that need not be here; returns the exit status."""
        device, budget = named(target), self.search.budget or CANDIDATES

        def decide(call: Call, library: KernelLibrary, progress: Progress) -> TuneResult:
            work = call.pattern, call.operands, call.shape, device
            return predict(*work, library=library, budget=budget, progress=progress)

        return self._each(decide)

    def _together(self, device: DeviceModel) -> int:
        """Tunes all calls on one budget; returns the exit status."""
        strategy, budget = self.search.means()
        spending, status = Spending(budget), DONE
        with (
            KernelLibrary(self.library_path) as library,
            TuningBar(len(self.calls)) as bar,
            ExitStack() as stack,
        ):
            tasks = []
            for call in self.calls:
                job = Job(call.pattern, call.operands, call.shape, device, writer_for(device), self.search.policy)
                sampler = isolated_sampler(job, stack)
                session = opened(job, watched(sampler, device), library, bar, spending, strategy)
                tasks.append(Task(session, strategies.named(strategy), self.search.prior(job, library), sampler.rest))
            try:
                outcomes = tune_all(tasks)
            except KeyboardInterrupt:
                return stopped()
        for outcome in outcomes:
            if isinstance(outcome, TuneResult):
                self.done.append(outcome.entry)
            else:
                status = failed(outcome)
        return status

    def _each(self, decide: Callable[[Call, KernelLibrary, Progress], TuneResult]) -> int:
        status = DONE
        with KernelLibrary(self.library_path) as library, TuningBar(len(self.calls)) as bar:
            for call in self.calls:
                try:
                    self.done.append(decide(call, library, bar).entry)
                except KeyboardInterrupt:
                    return stopped()
                except AttnccError as error:
                    status = failed(error)
        return status


def stopped() -> int:
    """Says that the user stopped it; returns the exit status."""
    click.echo("attncc: stopped; every trial is kept, and the same command resumes", err=True)
    return STOPPED


def failed(error: AttnccError) -> int:
    """Says why one call failed; returns the exit status. Raises what is the request's fault, not the work's."""
    if error.exit_status != FAILED:
        raise error
    click.echo(f"attncc: {error}", err=True)
    return FAILED
