"""Which schedule is kept? The same one every time the same trials are on record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from attncc.autotune.telling import DOUBT, TIE, apart, chance
from attncc.ir.schedule import Schedule, SearchSpace
from attncc.library.entry import Timing, Trial


@dataclass(frozen=True, slots=True)
class Choice:
    """The schedule that is kept, and the others that cannot be told apart from the fastest, in order of preference."""

    kept: Trial
    ties: tuple[Trial, ...]


def decide(trials: Sequence[Trial], space: SearchSpace) -> Trial:
    """The one that `choose` keeps."""
    return choose(trials, space).kept


def choose(trials: Sequence[Trial], space: SearchSpace) -> Choice:
    """Of those that cannot be told apart from the fastest: the one most like the default, then the earliest.

    Nothing slower than the default is kept, however little is known of it. At least one trial must have a time.
    """
    best = min(trials, key=lambda trial: trial.ratio)
    tied = sorted(_tied(trials, best), key=lambda trial: _place(trial.schedule, space))
    kept = next(trial for trial in tied if trial is best or trial.ratio <= 1)
    return Choice(kept, tuple(trial for trial in tied if trial is not kept))


def finalists(trials: Iterable[Trial], space: SearchSpace, places: int) -> tuple[Schedule, ...]:
    """What is timed once more, together: the default, as many of the fastest as there are `places`, and as many of
    those that tie with the fastest, in order of preference. Schedules with the same source are one kernel."""
    timed = sorted((trial for trial in trials if isinstance(trial.outcome, Timing)), key=lambda trial: trial.ratio)
    kernels = {trial.source: trial for trial in reversed(timed)}
    distinct = [trial for trial in timed if kernels[trial.source] is trial]
    ties = sorted(_tied(distinct, distinct[0]), key=lambda trial: _place(trial.schedule, space)) if distinct else []
    last = [*distinct[:places], *ties[:places]]
    return tuple(dict.fromkeys([space.default(), *(trial.schedule for trial in last)]))


def settled(timings: Mapping[Schedule, Timing], space: SearchSpace) -> set[Schedule]:
    """Who needs no more rounds, because what is kept will not depend on them.

    Open is who would be kept before all that surely tie with the fastest, if it tied as well; rounds are left for them
    and for who may be the fastest.
    """
    best, among = min(timings.values(), key=lambda timing: timing.ratio), len(timings)

    def ties(timing: Timing) -> bool:
        return all(timing.ratio <= other.ratio * (TIE - chance(timing, other, among)) for other in timings.values())

    preferred = sorted(timings, key=lambda schedule: _place(schedule, space))
    before = takewhile(lambda schedule: not ties(timings[schedule]), preferred)
    still_open = {schedule for schedule in before if not apart(best, timings[schedule], among, DOUBT)}
    if not still_open:
        return set(timings)
    fast = {s for s, timing in timings.items() if timing.ratio <= best.ratio * (1 + chance(best, timing, among))}
    return set(timings) - still_open - fast


def _tied(trials: Sequence[Trial], best: Trial) -> list[Trial]:
    """Those that cannot be told apart from `best`, which is one of them."""
    timings = [(trial, trial.outcome) for trial in trials if isinstance(trial.outcome, Timing)]
    fastest = next(timing for trial, timing in timings if trial is best)
    return [trial for trial, timing in timings if trial is best or not apart(fastest, timing, len(timings))]


def _place(schedule: Schedule, space: SearchSpace) -> tuple[int, ...]:
    """In how many knobs it differs from the default, then the order in which the space lists its schedules."""
    choices = [knob.choices.index(schedule[knob.name]) for knob in space.knobs]
    return (sum(schedule[knob.name] != knob.default for knob in space.knobs), *choices)
