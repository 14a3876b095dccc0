"""How does one tuning run? A strategy proposes until it or the budget ends; then the fastest race once more, and a
decision is kept."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from attncc.autotune.attempts import Attempts
from attncc.autotune.decide import choose
from attncc.autotune.provenance import made_with
from attncc.autotune.strategies import NOTHING, Prior, Search, Strategy
from attncc.autotune.watched import Watched
from attncc.ir.schedule import Schedule
from attncc.library.entry import LibraryEntry, Timing, Trial

#: Why tuning ended: nothing left to propose, a limit of the budget, or all that was proposed had been tried before.
Ending: TypeAlias = Literal["searched", "budget", "remembered"]


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

    attempts: Attempts
    _prior: Prior = NOTHING
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
        self._prior = prior
        self._search = propose(self.attempts.space, random.Random(self.attempts.seed), prior)

    def resume(self) -> None:
        """Tells that this task is the one that goes on."""
        legal = sum(1 for _ in self.attempts.space.schedules())
        self.attempts.progress.started(self.attempts.job, legal, self.attempts.records.refresh())

    def advance(self) -> bool:
        """Tries one proposal; False when there is none left or the budget is spent."""
        assert self._search is not None, "a session begins before it advances"
        try:
            proposal = next(self._search) if self._answers is None else self._search.send(self._answers)
        except StopIteration:
            self._ending = "searched" if self.attempts.tried else "remembered"
            return False
        self._answers = self.attempts.trials(proposal)
        if len(self._answers) < len(proposal):
            self._ending = "budget"
        return self._ending is None

    def best(self) -> float:
        """The best ratio to the default so far; 1 before anything is faster."""
        return self.attempts.best()

    def conclude(self) -> TuneResult:
        """The decision, in the library and as a result."""
        entry, made = self._confirmed(), self.attempts
        made.progress.finished(entry)
        return TuneResult(
            entry, tuple(made.known.values()), made.tried, made.spending.seconds, self._ending or "budget"
        )

    def keep_what_there_is(self) -> None:
        """A decision from the trials so far, without a last race."""
        known = tuple(self.attempts.known.values())
        if any(isinstance(trial.outcome, Timing) for trial in known):
            self._keep_decision(known)

    def _confirmed(self) -> LibraryEntry:
        """The decision, after the fastest schedules and the default have raced once more over many rounds."""
        kept = self.attempts.records.decision()
        if self.attempts.tried == 0 and kept is not None and kept.kind == "measured":
            return kept
        return self._keep_decision(self.attempts.confirmed())

    def _keep_decision(self, trials: Sequence[Trial]) -> LibraryEntry:
        made = self.attempts
        choice = choose(trials, made.space)
        entry = made.job.decision(choice.kept, "measured", len(made.known), made.records.session)
        ties = tuple(trial.schedule for trial in choice.ties)
        entry = replace(entry, ties=ties, made_with=(*self._made_with(), *self._beside(choice.kept.schedule)))
        made.records.decide(entry)
        return entry

    def _made_with(self) -> tuple[tuple[str, str], ...]:
        """Of the machine that measured, which may be another one than this."""
        sampler, device = self.attempts.sampler, self.attempts.job.device
        return sampler.made_with(device) if isinstance(sampler, Watched) else made_with(device)

    def _beside(self, schedule: Schedule) -> tuple[tuple[str, str], ...]:
        """Where the schedule was known from before it was tried, if it was, and how the hardware behaved."""
        origin, sampler = self._prior.origins.get(schedule), self.attempts.sampler
        known = () if origin is None else (("known from", origin),)
        return known + (sampler.told() if isinstance(sampler, Watched) else ())
