"""Which schedule is kept? The same one every time the same trials are on record."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from attncc.ir.schedule import Schedule, SearchSpace
from attncc.library.entry import Timing, Trial

#: Schedules whose times differ by less are the same for whoever calls them.
TIE: Final = 1.02
#: A median of n samples is uncertain by 1.86 median absolute deviations over the root of n; twice that is chance.
CHANCES: Final = 2 * 1.86
FINALISTS: Final = 3


def finalists(trials: Iterable[Trial], space: SearchSpace) -> tuple[Schedule, ...]:
    """The fastest few, and the default: what is timed once more, together."""
    timed = sorted((trial for trial in trials if isinstance(trial.outcome, Timing)), key=lambda trial: trial.ratio)
    kernels = {trial.source: trial.schedule for trial in reversed(timed)}
    fastest = [trial.schedule for trial in timed if kernels[trial.source] == trial.schedule][:FINALISTS]
    return tuple(dict.fromkeys([space.default(), *fastest]))


def decide(trials: Sequence[Trial], space: SearchSpace) -> Trial:
    """The fastest, or of those that cannot be told apart from it: the one most like the default, then the earliest.

    At least one trial must have a time.
    """
    best = min(trials, key=lambda trial: trial.ratio)
    ties = [trial for trial in trials if trial.ratio <= best.ratio * max(TIE, 1 + _chance(trial), 1 + _chance(best))]
    return min(ties, key=lambda trial: _place(trial.schedule, space))


def _chance(trial: Trial) -> float:
    """By what share of itself the time may be wrong, by the samples it is the median of; 0 for a modelled time."""
    match trial.outcome:
        case Timing(micros, spread, samples, _) if samples:
            return CHANCES * spread / micros / math.sqrt(samples)
        case _:
            return 0.0


def _place(schedule: Schedule, space: SearchSpace) -> tuple[int, ...]:
    """In how many knobs it differs from the default, then the order in which the space lists its schedules."""
    choices = [knob.choices.index(schedule[knob.name]) for knob in space.knobs]
    return (sum(schedule[knob.name] != knob.default for knob in space.knobs), *choices)
