"""Which of several schedules is faster, at the least cost? Rounds that interleave all, and drop the hopeless early."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from attncc.autotune.sampler import Sampler
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure, Timing

#: A lane leaves after round r when its median ratio exceeds the best one by the factor for r; the last factor holds on.
LIMITS: Final = (1.5, 1.25, 1.15, 1.1, 1.05)


@dataclass(frozen=True, slots=True)
class Rules:
    """How many rounds a race has, and from which on the slower ones leave it (`limits` empty: they all stay)."""

    rounds: int
    limits: tuple[float, ...] = ()


SEARCH: Final = Rules(rounds=7, limits=LIMITS)
CONFIRM: Final = Rules(rounds=15)


@dataclass(slots=True)
class Lane:
    """The samples of one schedule, in microseconds, beside the control's samples of the same rounds."""

    micros: list[float] = field(default_factory=list)
    control: list[float] = field(default_factory=list)

    def ratio(self) -> float:
        """Median over the rounds of time / control: what both lose to a busy machine cancels."""
        return median(own / other for own, other in zip(self.micros, self.control, strict=True))

    def timing(self) -> Timing:
        """`micros` is chosen so that `Timing.ratio` is the median of the ratios, not the ratio of medians."""
        control, ratio = median(self.control), self.ratio()
        if self.micros == self.control:
            return Timing(control, median(abs(own - control) for own in self.micros), len(self.micros), control)
        spread = median(abs(own / other - ratio) for own, other in zip(self.micros, self.control, strict=True))
        return Timing(ratio * control, spread * control, len(self.micros), control)


def race(
    entrants: Sequence[Schedule],
    control: Schedule,
    sampler: Sampler,
    rng: random.Random,
    rules: Rules,
    best_ratio: float,
    enough: Callable[[], bool],
) -> Iterator[tuple[Schedule, Timing | Failure]]:
    """Times prepared `entrants` against a prepared `control`; yields each one as it leaves the race or finishes.

    `best_ratio` is the best ratio to the control known from earlier races; `enough` ends the race after the round in
    which it says so. The control may be an entrant: its ratio is 1. A control that fails raises ControlFailed.
    """
    lanes = {entrant: Lane() for entrant in entrants}
    for number in range(1, rules.rounds + 1):
        failed = dict(_round(lanes, control, sampler, rng))
        yield from failed.items()
        lanes = {entrant: lane for entrant, lane in lanes.items() if entrant not in failed}
        if not lanes or number == rules.rounds or enough():
            break
        for entrant in _hopeless(lanes, rules.limits[number - 1 :] or rules.limits[-1:], best_ratio):
            yield entrant, lanes.pop(entrant).timing()
    yield from ((entrant, lane.timing()) for entrant, lane in lanes.items())


class ControlFailed(RuntimeError):
    """The schedule that all others are compared with stopped working; `failure` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence)
        self.failure = failure


def _round(
    lanes: Mapping[Schedule, Lane], control: Schedule, sampler: Sampler, rng: random.Random
) -> Iterator[tuple[Schedule, Failure]]:
    """One sample of each, in random order, and of the control first; yields those that failed."""
    reference = sampler.sample(control)
    if isinstance(reference, Failure):
        raise ControlFailed(reference)
    for entrant in rng.sample(list(lanes), len(lanes)):
        sample = reference if entrant == control else sampler.sample(entrant)
        if isinstance(sample, Failure):
            yield entrant, sample
            continue
        lanes[entrant].micros.append(sample)
        lanes[entrant].control.append(reference)


def _hopeless(lanes: Mapping[Schedule, Lane], limits: Sequence[float], best_ratio: float) -> list[Schedule]:
    """Lanes beyond the first of `limits`, of which there may be none."""
    ratios = {entrant: lane.ratio() for entrant, lane in lanes.items()}
    best = min(best_ratio, *ratios.values())
    return [entrant for entrant, ratio in ratios.items() for limit in limits[:1] if ratio > limit * best]
