"""Tunes a list of calls one after another: what failed is said and skipped, what was stopped can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from attncc.autotune.budget import Budget
from attncc.autotune.fleet import Fleet
from attncc.autotune.job import Job, writer_for
from attncc.autotune.predict import CANDIDATES, predict
from attncc.autotune.progress import Progress
from attncc.autotune.session import TuneResult
from attncc.autotune.tuner import tune
from attncc.cli.bar import TuningBar
from attncc.cli.present import present
from attncc.device import named
from attncc.errors import AttnccError
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DType, Operands, Shape
from attncc.library.entry import LibraryEntry
from attncc.library.lock import check, locked
from attncc.library.store import KernelLibrary

DONE, FAILED, STOPPED = 0, 1, 130
DEFAULT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Call:
    """What is tuned: a pattern for calls like `shape`."""

    pattern: Pattern
    shape: Shape
    dtype: DType

    @property
    def operands(self) -> Operands:
        return Operands(self.dtype, self.shape.head_dim)


@dataclass(slots=True)
class Tuning:
    """`done` holds a decision for every call that was finished, whatever happened to the others."""

    calls: Sequence[Call]
    library_path: Path
    budget: Budget | None
    strategy: str
    done: list[LibraryEntry] = field(default_factory=list)

    def measure(self, place: str) -> int:
        """Tunes on hardware that is here; returns the exit status. Raises NoGpu."""
        device, budget = present(place), self.budget or Budget(seconds=DEFAULT_SECONDS)

        def decide(call: Call, library: KernelLibrary, progress: Progress) -> TuneResult:
            work = call.pattern, call.operands, call.shape, device
            return tune(*work, library=library, budget=budget, strategy=self.strategy, progress=progress)

        return self._each(decide)

    def measure_on_ray(self, place: str) -> int:
        """Tunes on the machines of a Ray cluster that have the device of this one; returns the exit status."""
        from attncc.autotune.executors.ray import OnRay, connect

        device, budget = present(place), self.budget or Budget(seconds=DEFAULT_SECONDS)
        jobs = [Job(call.pattern, call.operands, call.shape, device, writer_for(device)) for call in self.calls]
        connect()
        executor = OnRay(device.kind)
        status = DONE
        for result in Fleet(executor, self.library_path, budget, self.strategy).tune(jobs):
            if isinstance(result, AttnccError):
                click.echo(f"attncc: {result}", err=True)
                status = FAILED
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
        device, budget = named(target), self.budget or CANDIDATES

        def decide(call: Call, library: KernelLibrary, progress: Progress) -> TuneResult:
            work = call.pattern, call.operands, call.shape, device
            return predict(*work, library=library, budget=budget, progress=progress)

        return self._each(decide)

    def _each(self, decide: Callable[[Call, KernelLibrary, Progress], TuneResult]) -> int:
        status = DONE
        with KernelLibrary(self.library_path) as library, TuningBar(len(self.calls)) as bar:
            for call in self.calls:
                try:
                    self.done.append(decide(call, library, bar).entry)
                except KeyboardInterrupt:
                    click.echo("attncc: stopped; every trial is kept, and the same command resumes", err=True)
                    return STOPPED
                except AttnccError as error:
                    if error.exit_status != FAILED:
                        raise
                    click.echo(f"attncc: {error}", err=True)
                    status = FAILED
        return status
