"""Does a race find the fastest at little cost, on a machine that is not alone?"""

from __future__ import annotations

import random
from math import inf

import pytest

from attncc.autotune.lane import Lane
from attncc.autotune.race import ControlFailed, Track, race
from attncc.autotune.rules import SEARCH, Rules
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure, Timing
from tests.autotune.samples import Replay, schedule, toy_times

CONTROL, *OTHERS = map(schedule, (16, 32, 64, 128))


def outcomes(
    sampler: Replay, entrants: list[Schedule], rules: Rules = SEARCH, best: float = inf, rounds: int = 99
) -> dict[Schedule, Timing | Failure]:
    left = iter(range(rounds, 0, -1))
    track = Track(CONTROL, sampler, random.Random(0), lambda: next(left) == 1)
    return dict(race({entrant: Lane() for entrant in entrants}, track, rules, best))


def ratio(outcome: Timing | Failure) -> float:
    assert isinstance(outcome, Timing)
    return outcome.ratio


def test_exact_times_give_exact_ratios() -> None:
    found = outcomes(toy_times(), [CONTROL, *OTHERS], Rules(rounds=15))
    assert {entrant: ratio(outcome) for entrant, outcome in found.items()} == {
        CONTROL: 1.0,
        schedule(32): pytest.approx(4 / 6),
        schedule(64): pytest.approx(2 / 6),
        schedule(128): pytest.approx(3 / 6),
    }
    assert {outcome.samples for outcome in found.values() if isinstance(outcome, Timing)} == {15}


def test_the_hopeless_leave_early_and_the_best_stays() -> None:
    sampler = toy_times()
    found = outcomes(sampler, OTHERS)
    samples = {entrant: outcome.samples for entrant, outcome in found.items() if isinstance(outcome, Timing)}
    assert samples == {schedule(32): 1, schedule(128): 1, schedule(64): SEARCH.rounds}


def test_a_known_best_sends_slower_ones_home() -> None:
    found = outcomes(toy_times(), [schedule(128)], best=0.1)
    assert found[schedule(128)] == Timing(3000.0, 0.0, 1, 6000.0)


def test_what_slows_everybody_cancels() -> None:
    drift = [1.0 + 0.3 * number for number in range(SEARCH.rounds)]
    sampler = toy_times()
    sampler.noise = {entrant: list(drift) for entrant in (CONTROL, schedule(64))}
    timing = outcomes(sampler, [schedule(64)])[schedule(64)]
    assert ratio(timing) == pytest.approx(2 / 6)


def test_one_disturbed_round_changes_nothing() -> None:
    sampler = toy_times()
    sampler.noise = {schedule(64): [1.0, 40.0]}
    assert ratio(outcomes(sampler, [schedule(64)])[schedule(64)]) == pytest.approx(2 / 6)


def test_failures_leave_and_the_others_go_on() -> None:
    crash = Failure("crash", "killed by SIGSEGV")
    sampler = toy_times()
    sampler.micros = {**sampler.micros, schedule(32): crash}
    found = outcomes(sampler, OTHERS)
    assert found[schedule(32)] == crash
    assert ratio(found[schedule(64)]) == pytest.approx(2 / 6)


def test_a_control_that_fails_ends_the_race() -> None:
    sampler = toy_times()
    sampler.micros = {**sampler.micros, CONTROL: Failure("timeout", "no answer")}
    with pytest.raises(ControlFailed, match="no answer"):
        outcomes(sampler, OTHERS)


def test_enough_ends_after_a_round_with_what_there_is() -> None:
    found = outcomes(toy_times(), OTHERS, Rules(rounds=15), rounds=3)
    assert {outcome.samples for outcome in found.values() if isinstance(outcome, Timing)} == {3}


def test_the_spread_is_what_the_control_does_not_explain() -> None:
    sampler = toy_times()
    drift = [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
    sampler.noise = {CONTROL: list(drift), schedule(64): list(drift)}
    found = outcomes(sampler, [CONTROL, schedule(64)], Rules(rounds=len(drift)))
    assert [outcome.spread for outcome in found.values() if isinstance(outcome, Timing)] == [
        pytest.approx(6000.0),
        pytest.approx(0.0),
    ]
