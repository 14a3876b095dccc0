"""How does one tuning run? Proposals are tried unless they are known, and everything found is kept at once."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from typing import Final, Literal, TypeAlias

from attncc.autotune.budget import Spending
from attncc.autotune.decide import choose, finalists
from attncc.autotune.job import Job
from attncc.autotune.progress import Progress
from attncc.autotune.race import ControlFailed, Track, race
from attncc.autotune.records import Records
from attncc.autotune.rules import CONFIRM, Rules
from attncc.autotune.sampler import Sampler
from attncc.autotune.strategies import Prior, Search, Strategy
from attncc.errors import AttnccError, DefaultScheduleFailed
from attncc.ir.schedule import Schedule, SearchSpace
from attncc.library.entry import Failure, LibraryEntry, Sample, Stage, Timing, Trial

#: Why tuning ended: nothing left to propose, a limit of the budget, or all that was proposed had been tried before.
Ending: TypeAlias = Literal["searched", "budget", "remembered"]

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
    """One task: `run` does all of it; `advance`, until it says that nothing is left, and `conclude` do it in steps."""

    job: Job
    space: SearchSpace
    sampler: Sampler
    records: Records
    progress: Progress
    spending: Spending
    seed: int
    rules: Rules
    known: dict[Schedule, Trial] = field(default_factory=dict)
    tried: int = 0
    _search: Search | None = None
    _answers: list[Trial] | None = None
    _ending: Ending | None = None

    def run(self, propose: Strategy, prior: Prior) -> TuneResult:
        try:
            self.begin(propose, prior)
            while self.advance():
                pass
            return self.conclude()
        except KeyboardInterrupt:
            self.keep_what_there_is()
            raise

    def begin(self, propose: Strategy, prior: Prior) -> None:
        self.resume()
        self._search = propose(self.space, random.Random(self.seed), prior)

    def resume(self) -> None:
        """Tells that this task is the one that goes on."""
        self.progress.started(self.job, sum(1 for _ in self.space.schedules()), self.records.refresh())

    def advance(self) -> bool:
        """Tries one proposal; False when there is none left or the budget is spent."""
        assert self._search is not None, "a session begins before it advances"
        try:
            proposal = next(self._search) if self._answers is None else self._search.send(self._answers)
        except StopIteration:
            self._ending = "searched" if self.tried else "remembered"
            return False
        self._answers = self._trials(proposal)
        if len(self._answers) < len(proposal):
            self._ending = "budget"
        return self._ending is None

    def best(self) -> float:
        """The best ratio to the default so far; 1 before anything is faster."""
        return min([1.0, *(trial.ratio for trial in self.known.values())])

    def conclude(self) -> TuneResult:
        """The decision, in the library and as a result."""
        entry = self._confirmed()
        self.progress.finished(entry)
        ending = self._ending or "budget"
        return TuneResult(entry, tuple(self.known.values()), self.tried, self.spending.seconds, ending)

    def keep_what_there_is(self) -> None:
        """A decision from the trials so far, without a last race."""
        if any(isinstance(trial.outcome, Timing) for trial in self.known.values()):
            self._keep_decision(tuple(self.known.values()))

    def _trials(self, proposal: Sequence[Schedule]) -> list[Trial]:
        """A trial of each proposed schedule, in order; fewer when the budget ends."""
        # What other processes have tried since counts like what this one tried.
        self.records.refresh()
        fresh = [schedule for schedule in dict.fromkeys(proposal) if not self._recall(schedule)]
        # Schedules with the same source are the same kernel: one of them is tried, the others recall it.
        kernels = list({self.sampler.source(schedule): schedule for schedule in reversed(fresh)}.values())[::-1]
        for start in range(0, len(kernels), self.rules.together):
            self._try(kernels[start : start + self.rules.together])
        return [self.known[schedule] for schedule in proposal if self._recall(schedule)]

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
        if affordable <= 0 or self._enough():
            return
        ready: list[Schedule] = []
        batch = batch[: int(min(affordable, len(batch)))]
        self.sampler.build(list(dict.fromkeys([*batch, self.space.default()])))
        for schedule in batch:
            if self._enough():
                break
            failure = self.sampler.prepare(schedule)
            if failure is None:
                ready.append(schedule)
            else:
                self._keep_new(schedule, failure)
        if ready:
            best = min((trial.ratio for trial in self.known.values()), default=inf)
            for schedule, outcome in self._race(ready, "search", best):
                self._keep_new(schedule, outcome)

    def _race(
        self, entrants: Sequence[Schedule], stage: Stage, best: float = inf
    ) -> Iterator[tuple[Schedule, Timing | Failure]]:
        """Goes on with the samples that a race which was broken off has left."""
        sources = {schedule: self.sampler.source(schedule) for schedule in entrants}
        lanes = {schedule: self.records.lane(stage, source) for schedule, source in sources.items()}
        heard = partial(self._heard, stage, sources)
        enough = self._enough if stage == "search" else self._out_of_time
        track = Track(self._control(), self.sampler, random.Random(self.seed), enough, heard)
        try:
            yield from race(lanes, track, self.rules if stage == "search" else CONFIRM, best)
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

    def _confirmed(self) -> LibraryEntry:
        """The decision, after the fastest schedules and the default have raced once more over many rounds."""
        kept = self.records.decision()
        if self.tried == 0 and kept is not None and kept.kind == "measured":
            return kept
        last = finalists(self.known.values(), self.space)
        works = [schedule for schedule in last if self.sampler.prepare(schedule) is None]
        outcomes = self._race(works, "confirm")
        return self._keep_decision([Trial(s, self.sampler.source(s), outcome) for s, outcome in outcomes])

    def _keep_decision(self, trials: Sequence[Trial]) -> LibraryEntry:
        choice = choose(trials, self.space)
        entry = self.job.decision(choice.kept, "measured", len(self.known), self.records.session)
        entry = replace(entry, ties=tuple(trial.schedule for trial in choice.ties))
        self.records.decide(entry)
        return entry

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

    def _enough(self) -> bool:
        return self.spending.seconds >= self.spending.budget.seconds * (1 - CONFIRM_SHARE)

    def _out_of_time(self) -> bool:
        return self.spending.seconds >= self.spending.budget.seconds

    def _default_failed(self, failure: Failure) -> DefaultScheduleFailed:
        default = str(self.space.default())
        return DefaultScheduleFailed(str(self.job), default, failure.reason, failure.sentence)
