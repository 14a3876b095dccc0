"""Which schedule would be fastest on a GPU that is not here? Cross-compiles, checks resources, ranks by model."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Final

from attncc import compiler
from attncc.autotune.budget import Budget, Spending
from attncc.autotune.decide import Choice, choose
from attncc.autotune.forecast import Forecast, learned
from attncc.autotune.gpus import figures
from attncc.autotune.inspecting import Inspector, Inspectors, processes
from attncc.autotune.job import Job, writer_for
from attncc.autotune.legality import doomed, doubtful, spilled
from attncc.autotune.observing import observed
from attncc.autotune.occupancy import occupancy
from attncc.autotune.progress import Progress, Silent
from attncc.autotune.request import Used
from attncc.autotune.session import Ending, TuneResult
from attncc.device import DeviceModel
from attncc.errors import DefaultScheduleFailed
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands, Schedule, SearchSpace, Shape
from attncc.ir.tile import TilePlan
from attncc.library.entry import Failure, LibraryEntry, Timing, Trial
from attncc.library.store import KernelLibrary

#: Cross-compiled at most, in the order of the model: it ranks well enough that the best is among so many.
CANDIDATES: Final = Budget(trials=48)


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
    not trials. What closed forms refuse, and what could not win if the hardware did its utmost, is not compiled.
    Raises NoModel for a device without figures, WorkerLost, and what the library raises.
    """
    job = Job(pattern, operands, shape, device, writer or writer_for(device))
    known = figures(device)
    workers = processes()
    with ExitStack() as stack:
        inspected = inspect or Inspectors.entered(job, workers, stack)
        threads = stack.enter_context(ThreadPoolExecutor(workers))
        forecast = learned(job, observed(job, library))
        prediction = _Prediction(
            job, forecast, inspected, threads, library, progress or Silent(), Spending(budget), known.of
        )
        result = prediction.run(2 * workers)
    compiler.forget()
    return result


@dataclass(slots=True)
class _Prediction:
    job: Job
    forecast: Forecast
    inspect: Inspector
    threads: ThreadPoolExecutor
    library: KernelLibrary
    progress: Progress
    spending: Spending
    figures_of: str
    modelled: list[Trial] = field(default_factory=list)

    def run(self, together: int) -> TuneResult:
        space = self.job.space()
        ranked = self._ranked(space)
        self.progress.started(self.job, len(ranked), 0)
        self._try(ranked[:1], space.default())
        for start in range(1, len(ranked), together):
            wanted = [schedule for schedule in ranked[start : start + together] if self._may_win(schedule)]
            afforded = int(min(len(wanted), self.spending.affordable()))
            self._try(wanted[:afforded], space.default())
            if afforded < len(wanted):
                break
        entry = self._keep(choose(self.modelled, space))
        self.progress.finished(entry)
        tried = self.spending.trials
        ending: Ending = "budget" if self.spending.affordable() <= 0 and tried < len(ranked) else "searched"
        return TuneResult(entry, tuple(self.modelled), tried, self.spending.seconds, ending)

    def _ranked(self, space: SearchSpace) -> list[Schedule]:
        """The default, then all others that are not doomed, by what the model says before they are compiled; the
        doubtful last."""
        default = space.default()

        def judged(schedule: Schedule) -> tuple[TilePlan, Operands, Schedule, str]:
            return self.forecast.plan(schedule), self.job.operands, schedule, self.job.device.arch

        known = filter(space.foreseen, space.schedules())
        others = [s for s in known if s != default and doomed(*judged(s)) is None]
        return [default, *sorted(others, key=lambda s: (doubtful(*judged(s)), self.forecast.micros(s)))]

    def _may_win(self, schedule: Schedule) -> bool:
        """Whether its lower bound is below the best so far."""
        return self.forecast.estimate(schedule).bound < min(trial.micros for trial in self.modelled)

    def _try(self, batch: Sequence[Schedule], default: Schedule) -> None:
        for schedule, found in zip(batch, self.threads.map(self.inspect, batch), strict=True):
            self._model(schedule, self._checked(schedule, found), default)

    def _model(self, schedule: Schedule, used: Used | Failure, default: Schedule) -> None:
        self.spending.trials += 1
        source = self.job.source(schedule).digest()
        if isinstance(used, Failure):
            if schedule == default:
                raise DefaultScheduleFailed(str(self.job), str(default), used.reason, used.sentence)
            trial = Trial(schedule, source, used)
            self.library.add_trial(self.job.key(), trial)
        else:
            micros = self.forecast.micros(schedule, used)
            control = self.modelled[0].micros if self.modelled else micros
            trial = Trial(schedule, source, Timing(micros, 0.0, 0, control))
        self.modelled.append(trial)
        self.progress.trial(trial, min(self.modelled, key=lambda known: known.ratio), self.spending)

    def _checked(self, schedule: Schedule, used: Used | Failure) -> Used | Failure:
        """A kernel that spills much, or of which not one program fits, is not worth a time."""
        if isinstance(used, Failure):
            return used
        failure = spilled(schedule, used.spill_bytes)
        if failure is not None:
            return failure
        found = occupancy(schedule.number("num_warps"), used, self.forecast.figures().unit)
        if found.programs:
            return used
        kib = used.shared_bytes / 1024
        words = f"does not fit: {kib:.0f} KiB of shared memory, {used.registers} registers a thread"
        return Failure("refused", words)

    def _keep(self, choice: Choice) -> LibraryEntry:
        kept = self.library.decision(self.job.key())
        if kept is not None and kept.kind == "measured":
            return kept
        entry = self.job.decision(choice.kept, "predicted", len(self.modelled), self.library.session)
        model = (("figures", self.figures_of), ("model", self.forecast.level))
        ties = tuple(trial.schedule for trial in choice.ties)
        entry = replace(entry, ties=ties, made_with=(*entry.made_with, *model))
        self.library.put(entry)
        return entry
