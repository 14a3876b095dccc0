"""Which of several schedules is faster, at the least cost? Rounds that interleave all, and drop the hopeless early."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Final

from attncc.autotune.lane import Lane
from attncc.autotune.rules import Rules
from attncc.autotune.sampler import Sampler
from attncc.autotune.telling import apart
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure, Timing

#: A lane leaves a race only when it is apart from the best by so many times what chance explains.
DOUBT: Final = 2.2


@dataclass(frozen=True, slots=True)
class Track:
    """What a race is run on: the prepared `control`, whose time is taken in every round, and who is told of samples.

    `enough` ends a race after the round in which it says so; `heard` is told each entrant's sample and the control's.
    """

    control: Schedule
    sampler: Sampler
    rng: random.Random
    enough: Callable[[], bool] = field(default=lambda: False)
    heard: Callable[[Schedule, float, float], None] = field(default=lambda entrant, micros, control: None)


def race(
    lanes: Mapping[Schedule, Lane], track: Track, rules: Rules, best_ratio: float = inf
) -> Iterator[tuple[Schedule, Timing | Failure]]:
    """Times prepared schedules against a prepared control; yields each one as it leaves the race or finishes.

    `lanes` may hold samples of a race that was broken off; `best_ratio` is the best ratio to the control known from
    earlier races. The control may be an entrant: its ratio is 1. A control that fails raises ControlFailed.
    """
    running = dict(lanes)
    while running:
        for entrant in _leaving(running, rules, best_ratio):
            yield entrant, running.pop(entrant).timing()
        failed = dict(_round(running, track)) if running else {}
        yield from failed.items()
        running = {entrant: lane for entrant, lane in running.items() if entrant not in failed}
        if track.enough():
            break
    yield from ((entrant, lane.timing()) for entrant, lane in running.items() if lane.micros)


class ControlFailed(RuntimeError):
    """The schedule that all others are compared with stopped working; `failure` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence)
        self.failure = failure


def _round(lanes: Mapping[Schedule, Lane], track: Track) -> Iterator[tuple[Schedule, Failure]]:
    """One sample of each, in random order, and of the control first; yields those that failed."""
    reference = track.sampler.sample(track.control)
    if isinstance(reference, Failure):
        raise ControlFailed(reference)
    for entrant in track.rng.sample(list(lanes), len(lanes)):
        sample = reference if entrant == track.control else track.sampler.sample(entrant)
        if isinstance(sample, Failure):
            yield entrant, sample
            continue
        lanes[entrant].add(sample, reference)
        track.heard(entrant, sample, reference)


def _leaving(lanes: Mapping[Schedule, Lane], rules: Rules, best_ratio: float) -> list[Schedule]:
    """Lanes that have all their rounds, are beyond their limit or can be told apart from the best."""
    timings = {entrant: lane.timing() for entrant, lane in lanes.items() if lane.micros}
    if not timings:
        return []
    leader = min(timings.values(), key=lambda timing: timing.ratio)
    best = min(best_ratio, leader.ratio)
    slower = _slower_half(timings) if rules.halving else set()
    return [
        entrant
        for entrant, timing in timings.items()
        if timing.samples >= rules.rounds
        or entrant in slower
        or timing.ratio > best * rules.limit(timing.samples)
        or (timing.samples >= rules.telling and apart(leader, timing, len(lanes), DOUBT))
    ]


def _slower_half(timings: Mapping[Schedule, Timing]) -> set[Schedule]:
    """The slower half, after 1, 2, 4, ... rounds; none in between, and never the last two."""
    rounds = min(timing.samples for timing in timings.values())
    if rounds & (rounds - 1) or len(timings) <= 2:
        return set()
    return set(sorted(timings, key=lambda entrant: timings[entrant].ratio)[(len(timings) + 1) // 2 :])
