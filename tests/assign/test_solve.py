"""Is the solver's choice the best there is?"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncc.errors import BudgetTooSmall
from attncc.models.assign.costs import Costs, line
from attncc.models.assign.exact import Floats
from attncc.models.assign.solve import WORTH, Choice, solve

LAYERS, HEADS, CANDIDATES = 2, 2, 3


def goal(choice: Choice, loss: Floats, relative: Floats, costs: Costs) -> tuple[float, float]:
    """(what is minimised, the share of the time), written out."""
    lost = sum(loss[layer, head, one] for layer, row in enumerate(choice) for head, one in enumerate(row))
    dense = sum(costs.micros([0] * loss.shape[1], relative[layer]) for layer in range(len(choice)))
    share = sum(costs.micros(row, relative[layer]) for layer, row in enumerate(choice)) / dense
    return lost / (WORTH * len(choice)) + share, share


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 1))
def test_nothing_is_better(seed: int, budget: float) -> None:
    rng = np.random.default_rng(seed)
    loss = rng.random((LAYERS, HEADS, CANDIDATES)) ** 6
    loss[:, :, 0] = 0
    relative = rng.uniform(0.7, 1.4, loss.shape)
    costs = Costs(rng.uniform(0, 20, 3), np.array([100.0, *rng.uniform(5, 90, 2)]), 5.0, "measured", "here", 1024)
    rows = list(product(range(CANDIDATES), repeat=HEADS))
    found = {choice: goal(choice, loss, relative, costs) for choice in product(rows, repeat=LAYERS)}
    allowed = [value for value, share in found.values() if share <= budget * (1 + 1e-9)]
    if not allowed:
        with pytest.raises(BudgetTooSmall):
            solve(loss, relative, costs, budget, [False] * LAYERS)
        return
    value, share = found[solve(loss, relative, costs, budget, [False] * LAYERS)]
    assert share <= budget * (1 + 1e-6)
    assert value <= min(allowed) * (1 + 1e-3) + 1e-9


def test_layers_that_stay_count_in_nothing() -> None:
    loss = np.zeros((3, 2, 2))
    costs = Costs(np.zeros(2), np.array([100.0, 10.0]), 0.0, "measured", "here", 1024)
    assert solve(loss, np.ones_like(loss), costs, 0.1, [False, True, False]) == ((1, 1), (0, 0), (1, 1))
    assert solve(loss, np.ones_like(loss), costs, 0.1, [True] * 3) == ((0, 0),) * 3


def test_what_makes_no_difference_is_not_paid_for() -> None:
    loss = np.array([[[0.0, 1e-9, 1e-3]]])
    costs = Costs(np.zeros(3), np.array([100.0, 20.0, 10.0]), 0.0, "measured", "here", 1024)
    assert solve(loss, np.ones_like(loss), costs, 1.0, [False]) == ((1,),)


def test_a_budget_that_no_plan_keeps_says_which_would() -> None:
    loss = np.zeros((1, 2, 2))
    costs = Costs(np.zeros(2), np.array([100.0, 25.0]), 0.0, "measured", "here", 1024)
    with pytest.raises(BudgetTooSmall, match=r"within 0\.2 of its time: the fastest one takes 0\.250; give --budget"):
        solve(loss, np.ones_like(loss), costs, 0.2, [False])


def test_a_large_model_is_solved() -> None:
    rng = np.random.default_rng(0)
    loss = rng.random((32, 8, 8)) ** 8
    loss[:, :, 0] = 0
    costs = Costs(np.full(8, 5.0), np.array([100.0, *np.linspace(5, 60, 7)]), 3.0, "measured", "here", 1024)
    choice = solve(loss, np.ones_like(loss), costs, 0.3, [False] * 32)
    assert goal(choice, loss, np.ones_like(loss), costs)[1] <= 0.3


def test_lines_through_two_times() -> None:
    base, each = line(np.array([1.0, 1.0]), np.array([15.0, 5.0]), np.array([4.0, 4.0]), np.array([30.0, 40.0]))
    assert base.tolist() == [10.0, 0.0]
    assert each.tolist() == [5.0, 10.0]
