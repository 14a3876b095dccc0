"""Does every strategy keep its contract, and do they find what is fast?"""

from __future__ import annotations

import random
from statistics import median

import pytest

from attncc.autotune import strategies
from attncc.errors import UnknownStrategy
from attncc.library.entry import Failure, Timing
from tests.autotune.landscapes import LANDSCAPES, Landscape

over_landscapes = pytest.mark.parametrize("landscape", LANDSCAPES, ids=lambda landscape: landscape.name)
over_strategies = pytest.mark.parametrize("strategy", strategies.names())


def test_strategies_are_found_by_their_files() -> None:
    assert {"chance", "descent", "exhaustive"} <= set(strategies.names())


def test_an_unknown_strategy_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownStrategy, match=r"'decent'.*descent"):
        strategies.named("decent")


@over_landscapes
@over_strategies
def test_proposals_are_legal_and_the_search_ends(strategy: str, landscape: Landscape) -> None:
    trials = landscape.replay(strategy, seed=0)
    assert all(landscape.space.holds(trial.schedule) for trial in trials)
    assert trials


@over_landscapes
@over_strategies
def test_the_same_seed_proposes_the_same(strategy: str, landscape: Landscape) -> None:
    assert landscape.replay(strategy, seed=3) == landscape.replay(strategy, seed=3)


@over_strategies
def test_a_search_may_be_left_at_any_point(strategy: str) -> None:
    search = strategies.named(strategy)(LANDSCAPES[0].space, random.Random(0), strategies.NOTHING)
    next(search)
    search.close()


@over_strategies
def test_a_space_where_nothing_works_ends(strategy: str) -> None:
    barren = Landscape("barren", LANDSCAPES[0].space, lambda schedule: None)
    assert all(isinstance(trial.outcome, Failure) for trial in barren.replay(strategy, seed=0))


@over_landscapes
@pytest.mark.parametrize("strategy", ["exhaustive", "chance"])
def test_exhaustive_and_chance_leave_nothing_out(strategy: str, landscape: Landscape) -> None:
    tried = [trial.schedule for trial in landscape.replay(strategy, seed=0)]
    assert len(tried) == len(set(tried))
    assert set(tried) == set(landscape.space.schedules())


@over_landscapes
def test_descent_comes_close_for_a_fraction(landscape: Landscape) -> None:
    legal = sum(1 for _ in landscape.space.schedules())
    replays = [landscape.replay("descent", seed) for seed in range(9)]
    assert median(min(trial.micros for trial in trials) for trials in replays) <= 1.03 * landscape.best()
    assert median(len(trials) for trials in replays) <= max(24, 0.3 * legal)


@over_landscapes
def test_descent_starts_with_the_default(landscape: Landscape) -> None:
    first, *_ = landscape.replay("descent", seed=0)
    assert first.schedule == landscape.space.default()
    assert isinstance(first.outcome, Timing)
