"""What becomes of proposed schedules? What is known is recalled, the rest is built, verified and raced, and kept at
once."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf

from attncc.autotune.budget import Spending
from attncc.autotune.decide import finalists, settled
from attncc.autotune.job import Job
from attncc.autotune.progress import Progress
from attncc.autotune.race import ControlFailed, Track, race
from attncc.autotune.records import Records
from attncc.autotune.rules import Rules
from attncc.autotune.sampler import Sampler
from attncc.errors import AttnccError, DefaultScheduleFailed
from attncc.ir.schedule import Schedule, SearchSpace
from attncc.library.entry import Failure, Sample, Stage, Timing, Trial


@dataclass(slots=True)
class Attempts:
    """The trials of one task: `known` are all that bear on it, `tried` of them were made here."""

    job: Job
    space: SearchSpace
    sampler: Sampler
    records: Records
    progress: Progress
    spending: Spending
    seed: int
    rules: Rules
    last: Rules
    known: dict[Schedule, Trial] = field(default_factory=dict)
    tried: int = 0

    def trials(self, proposal: Sequence[Schedule]) -> list[Trial]:
        """A trial of each proposed schedule, in order; fewer when the budget ends."""
        # What other processes have tried since counts like what this one tried.
        self.records.refresh()
        fresh = [schedule for schedule in dict.fromkeys(proposal) if not self._recall(schedule)]
        # Schedules with the same source are the same kernel: one of them is tried, the others recall it.
        kernels = list({self.sampler.source(schedule): schedule for schedule in reversed(fresh)}.values())[::-1]
        for start in range(0, len(kernels), self.rules.together):
            self._try(kernels[start : start + self.rules.together])
        return [self.known[schedule] for schedule in proposal if self._recall(schedule)]

    def best(self) -> float:
        """The best ratio to the default so far; 1 before anything is faster."""
        return min([1.0, *(trial.ratio for trial in self.known.values())])

    def confirmed(self) -> list[Trial]:
        """The finalists that work, after they have raced once more over many rounds."""
        final = finalists(self.known.values(), self.space, self.last.places)
        works = [schedule for schedule in final if self.sampler.prepare(schedule) is None]
        return [Trial(s, self.sampler.source(s), outcome) for s, outcome in self._race(works, "confirm", self.last)]

    def _recall(self, schedule: Schedule) -> bool:
        """Whether a trial is at hand: of this session, of an earlier one, or of a schedule with the same source."""
        if schedule in self.known:
            return True
        try:
            source = self.sampler.source(schedule)
        except AttnccError as error:
            if schedule == self.space.default():
                raise
            self._keep(Trial(schedule, "", Failure("refused", str(error))))
            return True
        trial = self.records.trial(schedule, source)
        if trial is not None:
            self.known[schedule] = trial
        elif (twin := self.records.twin(source)) is not None:
            self._keep(replace(twin, schedule=schedule))
        return schedule in self.known

    def _try(self, batch: Sequence[Schedule]) -> None:
        affordable = self.spending.affordable()
        if affordable <= 0 or self._spent(self.rules.share):
            return
        ready: list[Schedule] = []
        batch = batch[: int(min(affordable, len(batch)))]
        self.sampler.build(list(dict.fromkeys([*batch, self.space.default()])))
        for schedule in batch:
            if self._spent(self.rules.share):
                break
            failure = self.sampler.prepare(schedule)
            if failure is None:
                ready.append(schedule)
            else:
                self._keep_new(schedule, failure)
        if ready:
            best = min((trial.ratio for trial in self.known.values()), default=inf)
            for schedule, outcome in self._race(ready, "search", self.rules, best):
                self._keep_new(schedule, outcome)

    def _race(
        self, entrants: Sequence[Schedule], stage: Stage, rules: Rules, best: float = inf
    ) -> Iterator[tuple[Schedule, Timing | Failure]]:
        """Goes on with the samples that a race which was broken off has left."""
        sources = {schedule: self.sampler.source(schedule) for schedule in entrants}
        lanes = {schedule: self.records.lane(stage, source) for schedule, source in sources.items()}
        heard = partial(self._heard, stage, sources)
        over, enough = partial(self._spent, rules.share), partial(settled, space=self.space)
        track = Track(self._control(), self.sampler, random.Random(self.seed), over, enough, heard)
        try:
            yield from race(lanes, track, rules, best)
        except ControlFailed as stopped:
            raise self._default_failed(stopped.failure) from stopped

    def _heard(
        self, stage: Stage, sources: Mapping[Schedule, str], entrant: Schedule, micros: float, control: float
    ) -> None:
        self.records.keep_sample(stage, Sample(sources[entrant], micros, control))

    def _control(self) -> Schedule:
        """The default schedule, built and verified."""
        control = self.space.default()
        failure = self.sampler.prepare(control)
        if failure is not None:
            raise self._default_failed(failure)
        return control

    def _keep_new(self, schedule: Schedule, outcome: Timing | Failure) -> None:
        if isinstance(outcome, Failure) and schedule == self.space.default():
            raise self._default_failed(outcome)
        self.spending.trials += 1
        self.tried += 1
        self._keep(Trial(schedule, self.sampler.source(schedule), outcome))

    def _keep(self, trial: Trial) -> None:
        self.known[trial.schedule] = trial
        self.records.keep(trial)
        best = min(self.known.values(), key=lambda known: known.ratio)
        self.progress.trial(trial, best if isinstance(best.outcome, Timing) else None, self.spending)

    def _spent(self, share: float) -> bool:
        """Whether so much of the time is over."""
        return self.spending.seconds >= self.spending.budget.seconds * share

    def _default_failed(self, failure: Failure) -> DefaultScheduleFailed:
        default = str(self.space.default())
        return DefaultScheduleFailed(str(self.job), default, failure.reason, failure.sentence)
