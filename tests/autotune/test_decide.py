"""Is the same schedule kept whenever the same trials are on record?"""

from __future__ import annotations

import itertools
from dataclasses import replace

from attncc.autotune.decide import TIE, decide, finalists
from attncc.ir.schedule import Knob, SearchSpace
from attncc.library.entry import Failure, Timing, Trial
from tests.autotune.samples import schedule

SPACE = SearchSpace((Knob("tile", (16, 32, 64, 128), 32), Knob("fault", ("none",), "none")))


def made(tile: int, ratio: float) -> Trial:
    return Trial(schedule(tile), f"{tile}", Timing(100.0 * ratio, 1.0, 7, 100.0))


def test_the_fastest_is_kept() -> None:
    assert decide([made(32, 1.0), made(16, 0.9), made(128, 0.5), made(64, 0.8)], SPACE) == made(128, 0.5)


def test_a_tie_goes_to_the_default() -> None:
    assert decide([made(16, 1 / TIE), made(32, 1.0)], SPACE) == made(32, 1.0)


def test_a_tie_goes_to_the_earliest_whatever_the_order_of_the_trials() -> None:
    trials = [made(128, 0.5), made(64, 0.501), made(16, 0.504), made(32, 1.0)]
    assert {decide(order, SPACE).schedule for order in itertools.permutations(trials)} == {schedule(16)}


def test_a_tie_goes_to_the_one_most_like_the_default() -> None:
    two = SearchSpace((Knob("tile", (16, 32), 16), Knob("fault", ("none", "slow"), "none")))
    both = Trial(schedule(32, "slow"), "", Timing(50.0, 1.0, 7, 100.0))
    assert decide([both, replace(both, schedule=schedule(32))], two).schedule == schedule(32)


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
