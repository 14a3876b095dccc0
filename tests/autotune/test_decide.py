"""Is the same schedule kept whenever the same trials are on record?"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import pytest

from attncc.autotune.decide import Choice, choose, decide, finalists, settled
from attncc.autotune.lane import Lane
from attncc.autotune.race import Track, race
from attncc.autotune.rules import CONFIRM
from attncc.autotune.telling import TIE
from attncc.ir.schedule import Knob, Schedule, SearchSpace
from attncc.library.entry import Failure, Timing, Trial
from tests.autotune.samples import Replay, schedule

SPACE = SearchSpace((Knob("tile", (16, 32, 64, 128), 32), Knob("fault", ("none",), "none")))


def made(tile: int, ratio: float, spread: float = 0.1) -> Trial:
    return Trial(schedule(tile), f"{tile}", Timing(100.0 * ratio, spread, 16, 100.0))


def test_the_fastest_is_kept() -> None:
    assert decide([made(32, 1.0), made(16, 0.9), made(128, 0.5), made(64, 0.8)], SPACE) == made(128, 0.5)


def test_a_tie_goes_to_the_default() -> None:
    assert decide([made(16, 1 / TIE), made(32, 1.0)], SPACE) == made(32, 1.0)


def test_a_tie_goes_to_the_earliest_whatever_the_order_of_the_trials() -> None:
    trials = [made(128, 0.5), made(64, 0.501), made(16, 0.5045), made(32, 1.0)]
    assert {decide(order, SPACE).schedule for order in itertools.permutations(trials)} == {schedule(16)}


def test_a_tie_goes_to_the_one_most_like_the_default() -> None:
    two = SearchSpace((Knob("tile", (16, 32), 16), Knob("fault", ("none", "slow"), "none")))
    both = Trial(schedule(32, "slow"), "", Timing(50.0, 1.0, 7, 100.0))
    assert decide([both, replace(both, schedule=schedule(32))], two).schedule == schedule(32)


def test_what_noise_explains_is_a_tie() -> None:
    assert decide([made(32, 1.0), made(64, 0.9, spread=20.0)], SPACE) == made(32, 1.0)
    assert decide([made(32, 1.0), made(64, 0.9, spread=5.0)], SPACE).schedule == schedule(64)


def test_a_tie_that_is_slower_than_the_default_is_not_kept() -> None:
    choice = choose([made(16, 1.02, spread=20.0), made(64, 0.7, spread=20.0), made(32, 1.0)], SPACE)
    assert choice.kept == made(64, 0.7, spread=20.0)
    assert choice.ties == ()


def test_the_others_of_a_tie_are_named_in_order() -> None:
    choice = choose([made(128, 0.5), made(64, 0.501), made(16, 0.502), made(32, 1.0)], SPACE)
    assert [trial.schedule for trial in (choice.kept, *choice.ties)] == [schedule(16), schedule(64), schedule(128)]


COPIES = SearchSpace((Knob("tile", tuple(2**number for number in range(8)), 16), Knob("fault", ("none",), "none")))


@pytest.mark.parametrize("noise", [0.005, 0.02, 0.08])
def test_eight_copies_of_one_kernel_are_one_tie(noise: float) -> None:
    copies = list(COPIES.schedules())
    whole = sum(len(decided(Machine(seed, noise), copies).ties) == 7 for seed in range(100))
    assert whole >= 95


@pytest.mark.parametrize("noise", [0.005, 0.02])
def test_what_is_a_tenth_faster_is_found_and_nothing_else(noise: float) -> None:
    copies = list(COPIES.schedules())
    faster = {copies[5]: 0.9}
    kept = [decided(Machine(seed, noise, faster), copies) for seed in range(50)]
    assert sum(choice.kept.schedule == copies[5] for choice in kept) >= 49
    assert sum(not choice.ties for choice in kept) >= 45


def decided(machine: Machine, entrants: list[Schedule]) -> Choice:
    track = Track(COPIES.default(), machine, machine.rng, settled=partial(settled, space=COPIES))
    outcomes = race({entrant: Lane() for entrant in entrants}, track, CONFIRM)
    return choose([Trial(entrant, str(entrant), outcome) for entrant, outcome in outcomes], COPIES)


class Machine(Replay):
    """Equal kernels where others work too: the clock drifts by a tenth, times have a tail (one sample in twelve is half
    as long again, one in fifty three times), and the control is disturbed like all others."""

    def __init__(self, seed: int, noise: float, faster: Mapping[Schedule, float] | None = None) -> None:
        super().__init__({})
        self.rng, self.noise_share, self.faster = random.Random(seed), noise, faster or {}
        self.drift = 1.0

    def sample(self, schedule: Schedule) -> float | Failure:
        self.drift = min(1.1, max(1.0, self.drift + self.rng.uniform(-0.005, 0.005)))
        luck = self.rng.random()
        disturbed = 3.0 if luck < 0.02 else 1.5 if luck < 0.1 else 1.0
        slowed = self.drift * disturbed * self.rng.lognormvariate(0, self.noise_share)
        return 1000.0 * self.faster.get(schedule, 1.0) * slowed


def test_failures_are_never_kept() -> None:
    assert decide([Trial(schedule(16), "16", Failure("incorrect", "")), made(32, 1.0)], SPACE) == made(32, 1.0)


def test_the_default_is_always_among_the_finalists() -> None:
    trials = [
        made(16, 0.9),
        made(64, 0.7),
        made(128, 0.8),
        made(32, 1.0),
        Trial(schedule(16), "", Failure("crash", "")),
    ]
    assert finalists(trials, SPACE, 6) == (schedule(32), schedule(64), schedule(128), schedule(16))
    assert finalists([], SPACE, 6) == (schedule(32),)
