"""Do efforts try as many schedules as they say, and policies call as they say?"""

from __future__ import annotations

import math

import pytest

from attncc.autotune import strategies
from attncc.autotune.effort import DEFAULT, EFFORTS
from attncc.autotune.measure import SAMPLE_MICROS, clock_for, launched, repetitions, thread_time, wall_time
from attncc.autotune.policy import POLICIES, USUAL, Policy
from attncc.ir.schedule import Knob, SearchSpace
from attncc.library.key import POLICY


def space(size: int) -> SearchSpace:
    return SearchSpace((Knob("tile", tuple(range(size)), 0),))


def test_every_effort_has_a_strategy() -> None:
    assert DEFAULT in EFFORTS
    assert {effort.strategy for effort in EFFORTS.values()} <= set(strategies.names())


@pytest.mark.parametrize(
    ("effort", "legal", "most"),
    [
        ("quick", 9, 4),
        ("quick", 100, 8),
        ("quick", 1000, 12),
        ("standard", 9, 8),
        ("standard", 60, 9),
        ("standard", 2000, 64),
        ("full", 9, 9),
        ("full", 5000, 1500),
    ],
)
def test_how_many_are_tried(effort: str, legal: int, most: int) -> None:
    assert EFFORTS[effort].most(space(legal)) == most


def test_a_later_call_needs_fewer() -> None:
    assert EFFORTS["standard"].most(space(2000), later=True) == 12
    assert EFFORTS["standard"].most(space(9), later=True) == 8
    assert EFFORTS["full"].most(space(900), later=True) == 900


def test_quick_is_over_in_a_minute() -> None:
    assert EFFORTS["quick"].seconds < 60 < EFFORTS["standard"].seconds
    assert math.isinf(EFFORTS["full"].seconds)


def test_policies_have_names_and_the_usual_one_is_the_library_s() -> None:
    assert str(USUAL) == POLICY
    assert set(POLICIES) == {"eager warm", "eager cold", "graph warm", "graph cold"}
    assert all(str(policy) == name for name, policy in POLICIES.items())


def test_a_thread_alone_is_timed_by_its_own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    assert clock_for("cpu", USUAL) is thread_time
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    assert clock_for("cpu", USUAL) is wall_time


def test_an_eager_call_is_the_call_itself() -> None:
    def call() -> None: ...

    assert launched(call, Policy("eager", "cold")) is call


def test_a_sample_is_long_enough() -> None:
    assert repetitions(lambda: None, lambda call, count: 7.0 * count) == math.ceil(SAMPLE_MICROS / 7)
