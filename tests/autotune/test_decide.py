"""Is the same schedule kept whenever the same trials are on record?"""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from math import inf

from attncc.autotune.decide import TIE, decide, finalists
from attncc.autotune.race import CONFIRM, SEARCH, race
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
    trials = [made(128, 0.5), made(64, 0.501), made(16, 0.509), made(32, 1.0)]
    assert {decide(order, SPACE).schedule for order in itertools.permutations(trials)} == {schedule(16)}


def test_a_tie_goes_to_the_one_most_like_the_default() -> None:
    two = SearchSpace((Knob("tile", (16, 32), 16), Knob("fault", ("none", "slow"), "none")))
    both = Trial(schedule(32, "slow"), "", Timing(50.0, 1.0, 7, 100.0))
    assert decide([both, replace(both, schedule=schedule(32))], two).schedule == schedule(32)


def test_what_noise_explains_is_a_tie() -> None:
    assert decide([made(32, 1.0), made(64, 0.9, spread=20.0)], SPACE) == made(32, 1.0)
    assert decide([made(32, 1.0), made(64, 0.9, spread=5.0)], SPACE).schedule == schedule(64)


def test_eight_copies_of_one_kernel_are_one_tie() -> None:
    tiles = tuple(2**number for number in range(8))
    space = SearchSpace((Knob("tile", tiles, 16), Knob("fault", ("none",), "none")))
    rng, default, wrong = random.Random(0), space.default(), 0
    for _ in range(100):
        noisy = Noisy(rng)
        first = race([*space.schedules()], default, noisy, rng, SEARCH, inf, lambda: False)
        last = finalists([Trial(s, str(s), outcome) for s, outcome in first], space)
        confirmed = race(last, default, noisy, rng, CONFIRM, inf, lambda: False)
        wrong += decide([Trial(s, str(s), outcome) for s, outcome in confirmed], space).schedule != default
    assert wrong <= 5


class Noisy(Replay):
    """Equal kernels on a machine where times are two percent apart by chance, and one sample in twenty is disturbed."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def sample(self, schedule: Schedule) -> float | Failure:
        disturbed = 1.5 if self.rng.random() < 0.05 else 1.0
        return 1000.0 * disturbed * self.rng.lognormvariate(0, 0.02)


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
    assert finalists(trials, SPACE) == (schedule(32), schedule(64), schedule(128), schedule(16))
    assert finalists([], SPACE) == (schedule(32),)
