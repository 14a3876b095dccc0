"""What does the tuner ask of a machine? To say what a schedule becomes, to make it ready, to time it once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from attncc.autotune.compilers import Compilers
from attncc.autotune.job import Job
from attncc.autotune.request import Answer, Prepare, Request, Sample
from attncc.codegen.kernel import KernelSource
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure

#: Building includes a compiler, and the first request the float64 reference; no schedule worth having takes so long.
PREPARE_SECONDS: Final = 60.0
SAMPLE_SECONDS: Final = 30.0


class Sampler(Protocol):
    """Failures are answers, not exceptions: a schedule that does not work is a result like any other."""

    def source(self, schedule: Schedule) -> str:
        """The digest of the generated source."""
        ...

    def build(self, schedules: Sequence[Schedule]) -> None:
        """Compiles ahead what will be prepared, several at once; what goes wrong is told by `prepare`."""
        ...

    def prepare(self, schedule: Schedule) -> Failure | None:
        """Builds the kernel and compares it with the reference; None when it may be timed."""
        ...

    def sample(self, schedule: Schedule) -> float | Failure:
        """Microseconds per call of a prepared schedule, over a few milliseconds of calls."""
        ...


class Elsewhere(Protocol):
    """Another process with a job: an Isolated, or a machine of a cluster. `generation` changes when it is lost."""

    job: Job
    generation: int

    def ask(self, request: Request, seconds: float) -> Answer: ...

    def rest(self) -> None: ...


@dataclass(slots=True)
class IsolatedSampler:
    """The Sampler of another process: kernels are verified and timed there, and compiled in yet others if there are
    `compilers`."""

    isolated: Elsewhere
    compilers: Compilers | None = None
    prepare_seconds: float = PREPARE_SECONDS
    sample_seconds: float = SAMPLE_SECONDS
    _sources: dict[Schedule, KernelSource] = field(default_factory=dict)
    _built: dict[Schedule, Failure | None] = field(default_factory=dict)
    _ready: set[tuple[int, Schedule]] = field(default_factory=set)

    def rest(self) -> None:
        """Ends the processes; they start again when they are needed."""
        self.isolated.rest()
        if self.compilers is not None:
            self.compilers.rest()

    def source(self, schedule: Schedule) -> str:
        if schedule not in self._sources:
            self._sources[schedule] = self.isolated.job.source(schedule)
        return self._sources[schedule].digest()

    def build(self, schedules: Sequence[Schedule]) -> None:
        """Raises WorkerLost if no process can be started."""
        new = [schedule for schedule in schedules if self.source(schedule) and schedule not in self._built]
        if self.compilers is not None and new:
            answers = self.compilers.build([self._sources[schedule] for schedule in new])
            self._built |= zip(new, answers, strict=True)

    def prepare(self, schedule: Schedule) -> Failure | None:
        """Also prepares again what an earlier process had ready; raises WorkerLost if no process can be started."""
        if (self.isolated.generation, schedule) in self._ready:
            return None
        self.build([schedule])
        failure = self._built.get(schedule)
        if failure is not None:
            return failure
        answer = self.isolated.ask(Prepare(self._sources[schedule]), self.prepare_seconds)
        if isinstance(answer, Failure):
            return answer
        self._ready.add((self.isolated.generation, schedule))
        return None

    def sample(self, schedule: Schedule) -> float | Failure:
        failure = self.prepare(schedule)
        if failure is not None:
            return failure
        answer = self.isolated.ask(Sample(schedule), self.sample_seconds)
        assert isinstance(answer, float | Failure), "a sample is a time or a failure"
        return answer
