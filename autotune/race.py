"""Which of several schedules is faster, at the least cost? Rounds that interleave all, and drop the hopeless early."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf

from attncc.autotune.lane import Lane
from attncc.autotune.rules import Rules
from attncc.autotune.sampler import Sampler
from attncc.autotune.telling import DOUBT, apart, pooled
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure, Timing


@dataclass(frozen=True, slots=True)
class Track:
    """What a race is run on: the prepared `control`, whose time is taken in every round, and who is told of samples.

    `enough` ends a race after the round in which it says so; `settled` says of the timings so far who needs no more
    rounds; `heard` is told each entrant's sample and the control's.
    """

    control: Schedule
    sampler: Sampler
    rng: random.Random
    enough: Callable[[], bool] = field(default=lambda: False)
    settled: Callable[[Mapping[Schedule, Timing]], Collection[Schedule]] = field(default=lambda timings: ())
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
        for entrant in _leaving(running, track, rules, best_ratio):
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
    """One sample of each, in random order, and of the control first; yields those that failed. A round that was broken
    off is brought to its end: only those that are behind take part."""
    reference = track.sampler.sample(track.control)
    if isinstance(reference, Failure):
        raise ControlFailed(reference)
    fewest = min(len(lane.micros) for lane in lanes.values())
    behind = [entrant for entrant, lane in lanes.items() if len(lane.micros) == fewest]
    for entrant in track.rng.sample(behind, len(behind)):
        sample = reference if entrant == track.control else track.sampler.sample(entrant)
        if isinstance(sample, Failure):
            yield entrant, sample
            continue
        lanes[entrant].add(sample, reference)
        track.heard(entrant, sample, reference)


def _leaving(lanes: Mapping[Schedule, Lane], track: Track, rules: Rules, best_ratio: float) -> list[Schedule]:
    """Lanes that have all their rounds, are beyond their limit, can be told apart from the best or are settled."""
    fewest, most = (fold(len(lane.micros) for lane in lanes.values()) for fold in (min, max))
    telling = fewest > 0 and fewest % rules.telling == 0
    if not most or not (telling or rules.limits or rules.halving or most >= rules.rounds):
        return []
    timings = {entrant: lane.timing() for entrant, lane in lanes.items() if lane.micros}
    best = min(best_ratio, *(timing.ratio for timing in timings.values()))
    slower = _slower_half(timings) if rules.halving else set()
    told = _told(pooled(timings), track) if telling else set()
    return [
        entrant
        for entrant, timing in timings.items()
        if timing.samples >= rules.rounds
        or entrant in slower
        or entrant in told
        or timing.ratio > best * rules.limit(timing.samples)
    ]


def _told(timings: Mapping[Schedule, Timing], track: Track) -> set[Schedule]:
    """Lanes that are apart from the best, or settled."""
    leader = min(timings.values(), key=lambda timing: timing.ratio)
    slower = {entrant for entrant, timing in timings.items() if apart(leader, timing, len(timings), DOUBT)}
    return slower.union(track.settled(timings))


def _slower_half(timings: Mapping[Schedule, Timing]) -> set[Schedule]:
    """The slower half, after 1, 2, 4, ... rounds; none in between, and never the last two."""
    rounds = min(timing.samples for timing in timings.values())
    if rounds & (rounds - 1) or len(timings) <= 2:
        return set()
    return set(sorted(timings, key=lambda entrant: timings[entrant].ratio)[(len(timings) + 1) // 2 :])
