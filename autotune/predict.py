"""Which schedule would be fastest on a GPU that is not here? Cross-compiles, checks resources, ranks by model."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final, Protocol

from attncc import compiler, passes
from attncc.autotune import model
from attncc.autotune.budget import Budget, Spending
from attncc.autotune.counts import Counts, counts
from attncc.autotune.decide import decide
from attncc.autotune.gpus import UNITS, Unit
from attncc.autotune.isolate import Isolated
from attncc.autotune.job import Job, writer_for
from attncc.autotune.progress import Progress, Silent
from attncc.autotune.request import Inspect, Used
from attncc.autotune.session import Ending, TuneResult
from attncc.device import DeviceModel
from attncc.errors import DefaultScheduleFailed, NoModel
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands, Schedule, SearchSpace, Shape
from attncc.ir.tile import Tiling
from attncc.library.entry import Failure, LibraryEntry, Timing, Trial
from attncc.library.store import KernelLibrary

#: Cross-compiled at most, in the order of the model: it ranks well enough that the best is among so many.
CANDIDATES: Final = Budget(trials=24)
INSPECT_SECONDS: Final = 60.0
SPILL_BYTES: Final = 64


class Inspector(Protocol):
    """Cross-compiles a schedule and says what it uses."""

    def __call__(self, schedule: Schedule) -> Used | Failure: ...


def predict(
    pattern: Pattern,
    operands: Operands,
    shape: Shape,
    device: DeviceModel,
    *,
    library: KernelLibrary,
    budget: Budget = CANDIDATES,
    progress: Progress | None = None,
    writer: str | None = None,
    inspect: Inspector | None = None,
) -> TuneResult:
    """Chooses a schedule for calls like `shape` on `device`, which need not be present, and keeps it in `library` as
    predicted. A measured decision for the same key stays, and is returned.

    Schedules that do not compile there, or spill registers, are kept as trials with their reason; modelled times are
    not trials. Raises NoModel for a device without figures, WorkerLost, and what the library raises.
    """
    job = Job(pattern, operands, shape, device, writer or writer_for(device))
    if device.arch not in UNITS:
        raise NoModel(device.name, device.arch, tuple(UNITS))
    with ExitStack() as stack:
        inspected = inspect or _Inspector(stack.enter_context(Isolated(job)))
        unit, told = UNITS[device.arch], progress or Silent()
        result = _Forecast(job, unit, inspected, library, told, Spending(budget)).run()
    compiler.forget()
    return result


@dataclass(frozen=True, slots=True)
class _Inspector:
    isolated: Isolated

    def __call__(self, schedule: Schedule) -> Used | Failure:
        answer = self.isolated.ask(Inspect(self.isolated.job.source(schedule)), INSPECT_SECONDS)
        assert isinstance(answer, Used | Failure), "an inspection tells what is used or why there is no kernel"
        return answer


@dataclass(slots=True)
class _Forecast:
    job: Job
    unit: Unit
    inspect: Inspector
    library: KernelLibrary
    progress: Progress
    spending: Spending
    modelled: list[Trial] = field(default_factory=list)
    _counts: dict[Tiling, Counts] = field(default_factory=dict)

    def run(self) -> TuneResult:
        space = self.job.space()
        ranked = self._ranked(space)
        self.progress.started(self.job, len(ranked), 0)
        tried = 0
        for schedule in ranked:
            if self.spending.affordable() <= 0 and tried:
                break
            self._try(schedule, space.default())
            tried += 1
        entry = self._keep(decide(self.modelled, space))
        self.progress.finished(entry)
        ending: Ending = "searched" if tried == len(ranked) else "budget"
        return TuneResult(entry, tuple(self.modelled), tried, self.spending.seconds, ending)

    def _ranked(self, space: SearchSpace) -> list[Schedule]:
        """The default, then all others by what the model says before they are compiled."""
        others = [schedule for schedule in space.schedules() if schedule != space.default()]
        return [space.default(), *sorted(others, key=lambda schedule: self._micros(schedule, _assumed(schedule)))]

    def _try(self, schedule: Schedule, default: Schedule) -> None:
        self.spending.trials += 1
        used = self._checked(schedule, self.inspect(schedule))
        source = self.job.source(schedule).digest()
        if isinstance(used, Failure):
            if schedule == default:
                raise DefaultScheduleFailed(str(self.job), str(default), used.reason, used.sentence)
            trial = Trial(schedule, source, used)
            self.library.add_trial(self.job.key(), trial)
        else:
            micros = self._micros(schedule, used)
            control = self.modelled[0].micros if self.modelled else micros
            trial = Trial(schedule, source, Timing(micros, 0.0, 0, control))
        self.modelled.append(trial)
        self.progress.trial(trial, min(self.modelled, key=lambda known: known.ratio), self.spending)

    def _checked(self, schedule: Schedule, used: Used | Failure) -> Used | Failure:
        """A kernel that spills, or of which not one program fits, is not worth a time."""
        if isinstance(used, Used) and used.spill_bytes:
            return Failure("spills", f"{used.spill_bytes} bytes of registers spilled")
        if isinstance(used, Used) and not model.resident(schedule, used, self.unit):
            kib = used.shared_bytes / 1024
            return Failure(
                "refused", f"does not fit: {kib:.0f} KiB of shared memory, {used.registers} registers a thread"
            )
        return used

    def _micros(self, schedule: Schedule, used: Used) -> float:
        tiling = self.job.backend.tiling(self.job.phase, schedule)
        if tiling not in self._counts:
            self._counts[tiling] = counts(passes.run(self.job.pattern, tiling), self.job.shape)
        job = self.job
        return model.micros(self._counts[tiling], job.operands, schedule, used, job.shape, job.device, self.unit)

    def _keep(self, chosen: Trial) -> LibraryEntry:
        key = self.job.key()
        kept = self.library.decision(key)
        if kept is not None and kept.kind == "measured":
            return kept
        entry = self.job.decision(chosen, "predicted", len(self.modelled), self.library.session)
        self.library.put(entry)
        return entry


def _assumed(schedule: Schedule) -> Used:
    """What a kernel may be thought to use before it is compiled: what leaves room for a second program of its size."""
    registers = min(255, 32768 // (32 * schedule.number("num_warps")))
    return Used(registers // 2, spill_bytes=0, shared_bytes=32 * 1024, tensor_cores=True)
