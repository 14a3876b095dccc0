"""Does every strategy keep its contract, and do they find what is fast?"""

from __future__ import annotations

import random
import sys
from importlib import util
from statistics import median
from typing import Final

import pytest
from _pytest.mark import ParameterSet

from attncc.autotune import strategies
from attncc.autotune.strategies import Prior
from attncc.errors import ExtraMissing, UnknownStrategy
from attncc.library.entry import Failure, Timing
from tests.autotune.landscapes import LANDSCAPES, Landscape

over_landscapes = pytest.mark.parametrize("landscape", LANDSCAPES, ids=lambda landscape: landscape.name)
NEEDS: Final = {"tpe": "optuna"}


def runnable(name: str) -> ParameterSet:
    """The strategy, skipped where the package that it needs is absent."""
    package = NEEDS.get(name)
    absent = package is not None and util.find_spec(package) is None
    return pytest.param(name, marks=pytest.mark.skipif(absent, reason=f"{package} is not installed"))


over_strategies = pytest.mark.parametrize("strategy", [runnable(name) for name in strategies.names()])


def test_strategies_are_found_by_their_files() -> None:
    assert set(strategies.names()) == {"chance", "descent", "exhaustive", "halving", "ranked", "tpe"}


def test_a_strategy_whose_package_is_absent_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    search = strategies.named("tpe")(LANDSCAPES[0].space, random.Random(0), strategies.NOTHING)
    with pytest.raises(ExtraMissing, match=r"pip install 'attncc\[optuna\]'"):
        next(search)


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
@pytest.mark.parametrize("strategy", ["exhaustive", "chance", "halving"])
def test_these_leave_nothing_out(strategy: str, landscape: Landscape) -> None:
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
@over_strategies
def test_the_default_is_among_the_first(strategy: str, landscape: Landscape) -> None:
    """A search that is stopped early has compared with it."""
    if strategy not in ("chance", "exhaustive"):
        assert landscape.space.default() in [trial.schedule for trial in landscape.replay(strategy, seed=0)][:2]


@over_landscapes
@pytest.mark.parametrize("most", [1, 4, 9])
@pytest.mark.parametrize("strategy", ["ranked", "halving"])
def test_no_more_are_tried_than_may_be(strategy: str, most: int, landscape: Landscape) -> None:
    assert len(landscape.replay(strategy, 0, Prior(most=most))) <= most


@over_landscapes
@pytest.mark.parametrize("strategy", ["ranked", "halving"])
def test_a_model_that_knows_is_believed(strategy: str, landscape: Landscape) -> None:
    knows = Prior(micros=lambda schedule: landscape.trial(schedule).micros, most=4)
    assert min(trial.micros for trial in landscape.replay(strategy, 0, knows)) == landscape.best()


@over_landscapes
def test_a_model_that_is_wrong_costs_little(landscape: Landscape) -> None:
    """It ranks the slowest first: the default and its neighbours are still looked at."""
    wrong = Prior(micros=lambda schedule: -landscape.trial(schedule).micros, most=12)
    default = landscape.trial(landscape.space.default())
    assert min(trial.micros for trial in landscape.replay("ranked", 0, wrong)) <= default.micros


@over_landscapes
def test_what_won_before_is_tried_early(landscape: Landscape) -> None:
    best = min(landscape.space.schedules(), key=lambda schedule: landscape.trial(schedule).micros)
    tried = landscape.replay("ranked", 0, Prior(winners=(best,), most=2))
    assert best in [trial.schedule for trial in tried]


@over_landscapes
def test_descent_starts_with_the_default(landscape: Landscape) -> None:
    first, *_ = landscape.replay("descent", seed=0)
    assert first.schedule == landscape.space.default()
    assert isinstance(first.outcome, Timing)
