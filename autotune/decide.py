"""Which schedule is kept? The same one every time the same trials are on record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from attncc.ir.schedule import Schedule, SearchSpace
from attncc.library.entry import Timing, Trial

#: Schedules whose times differ by less are told apart by chance, not by speed.
TIE: Final = 1.01
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
    ties = [trial for trial in trials if trial.ratio <= best.ratio * TIE]
    return min(ties, key=lambda trial: _place(trial.schedule, space))


def _place(schedule: Schedule, space: SearchSpace) -> tuple[int, ...]:
    """In how many knobs it differs from the default, then the order in which the space lists its schedules."""
    choices = [knob.choices.index(schedule[knob.name]) for knob in space.knobs]
    return (sum(schedule[knob.name] != knob.default for knob in space.knobs), *choices)
