"""How does one tuning run? Proposals are tried unless they are known, and everything found is kept at once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final, Literal, TypeAlias

from attncc.autotune.budget import Spending
from attncc.autotune.decide import decide, finalists
from attncc.autotune.job import Job
from attncc.autotune.progress import Progress
from attncc.autotune.race import CONFIRM, SEARCH, ControlFailed, race
from attncc.autotune.sampler import Sampler
from attncc.autotune.strategies import Strategy
from attncc.errors import AttnccError, DefaultScheduleFailed
from attncc.ir.schedule import Schedule, SearchSpace
from attncc.library.entry import Failure, LibraryEntry, Timing, Trial
from attncc.library.key import KernelKey
from attncc.library.store import KernelLibrary

#: Why tuning ended: nothing left to propose, a limit of the budget, or all that was proposed had been tried before.
Ending: TypeAlias = Literal["searched", "budget", "remembered"]

#: So many schedules are built, then raced together.
BATCH: Final = 4
#: The share of the budget's seconds that is kept for the last race.
CONFIRM_SHARE: Final = 0.15


@dataclass(frozen=True, slots=True)
class TuneResult:
    """The decision and how it came about; `trials` are all that bear on it, `tried` of them made by this call."""

    entry: LibraryEntry
    trials: tuple[Trial, ...]
    tried: int
    seconds: float
    ending: Ending


@dataclass(slots=True)
class Session:
    job: Job
    space: SearchSpace
    key: KernelKey
    sampler: Sampler
    library: KernelLibrary
    progress: Progress
    spending: Spending
    seed: int
    remembered: dict[Schedule, Trial] = field(default_factory=dict)
    known: dict[Schedule, Trial] = field(default_factory=dict)

    def run(self, propose: Strategy) -> TuneResult:
        self.remembered = {trial.schedule: trial for trial in self.library.trials(self.key)}
        self.progress.started(self.job, sum(1 for _ in self.space.schedules()), len(self.remembered))
        try:
            ending = self._search(propose)
            entry = self._confirmed()
        except KeyboardInterrupt:
            if any(isinstance(trial.outcome, Timing) for trial in self.known.values()):
                self._keep_decision(tuple(self.known.values()))
            raise
        except ControlFailed as stopped:
            raise self._default_failed(stopped.failure) from stopped
        self.progress.finished(entry)
        return TuneResult(entry, tuple(self.known.values()), self.spending.trials, self.spending.seconds, ending)

    def _search(self, propose: Strategy) -> Ending:
        search = propose(self.space, random.Random(self.seed))
        try:
            proposal = next(search)
            while len(trials := self._trials(proposal)) == len(proposal):
                proposal = search.send(trials)
        except StopIteration:
            return "searched" if self.spending.trials else "remembered"
        return "budget"

    def _trials(self, proposal: Sequence[Schedule]) -> list[Trial]:
        """A trial of each proposed schedule, in order; fewer when the budget ends."""
        fresh = [schedule for schedule in dict.fromkeys(proposal) if not self._recall(schedule)]
        # Schedules with the same source are the same kernel: one of them is tried, the others recall it.
        kernels = list({self.sampler.source(schedule): schedule for schedule in reversed(fresh)}.values())[::-1]
        for start in range(0, len(kernels), BATCH):
            self._try(kernels[start : start + BATCH])
        return [self.known[schedule] for schedule in proposal if self._recall(schedule)]

    def _recall(self, schedule: Schedule) -> bool:
        """Whether a trial is at hand: of this session, of an earlier one, or of a schedule with the same source."""
        if schedule in self.known:
            return True
        trial = self.remembered.get(schedule)
        try:
            source = self.sampler.source(schedule)
        except AttnccError as error:
            if schedule == self.space.default():
                raise
            self._keep(Trial(schedule, "", Failure("refused", str(error))))
            return True
        if trial is not None and trial.source == source:
            self.known[schedule] = trial
        else:
            twin = next((known for known in self.known.values() if known.source == source), None)
            if twin is not None:
                self._keep(Trial(schedule, source, twin.outcome))
        return schedule in self.known

    def _try(self, batch: Sequence[Schedule]) -> None:
        ready: list[Schedule] = []
        for schedule in batch:
            if self.spending.affordable() <= len(ready) or self._enough():
                break
            failure = self.sampler.prepare(schedule)
            if failure is None:
                ready.append(schedule)
            else:
                self._keep_new(schedule, failure)
        self._race(ready)

    def _race(self, ready: Sequence[Schedule]) -> None:
        if not ready:
            return
        best = min((trial.ratio for trial in self.known.values()), default=inf)
        rng = random.Random(self.seed)
        for schedule, outcome in race(ready, self._control(), self.sampler, rng, SEARCH, best, self._enough):
            self._keep_new(schedule, outcome)

    def _control(self) -> Schedule:
        """The default schedule, built and verified."""
        control = self.space.default()
        failure = self.sampler.prepare(control)
        if failure is not None:
            raise self._default_failed(failure)
        return control

    def _confirmed(self) -> LibraryEntry:
        """The decision, after the fastest schedules and the default have raced once more over many rounds."""
        kept = self.library.decision(self.key)
        if self.spending.trials == 0 and kept is not None and kept.kind == "measured":
            return kept
        last = finalists(self.known.values(), self.space)
        for schedule in last:
            self.sampler.prepare(schedule)
        outcomes = race(last, self._control(), self.sampler, random.Random(self.seed), CONFIRM, inf, self._out_of_time)
        return self._keep_decision([Trial(s, self.sampler.source(s), outcome) for s, outcome in outcomes])

    def _keep_decision(self, trials: Sequence[Trial]) -> LibraryEntry:
        chosen = decide(trials, self.space)
        entry = self.job.decision(chosen, "measured", len(self.known), self.library.session)
        self.library.put(entry)
        return entry

    def _keep_new(self, schedule: Schedule, outcome: Timing | Failure) -> None:
        if isinstance(outcome, Failure) and schedule == self.space.default():
            raise self._default_failed(outcome)
        self.spending.trials += 1
        self._keep(Trial(schedule, self.sampler.source(schedule), outcome))

    def _keep(self, trial: Trial) -> None:
        self.known[trial.schedule] = trial
        self.library.add_trial(self.key, trial)
        best = min(self.known.values(), key=lambda known: known.ratio)
        self.progress.trial(trial, best if isinstance(best.outcome, Timing) else None, self.spending)

    def _enough(self) -> bool:
        return self.spending.seconds >= self.spending.budget.seconds * (1 - CONFIRM_SHARE)

    def _out_of_time(self) -> bool:
        return self.spending.seconds >= self.spending.budget.seconds

    def _default_failed(self, failure: Failure) -> DefaultScheduleFailed:
        default = str(self.space.default())
        return DefaultScheduleFailed(str(self.job), default, failure.reason, failure.sentence)
