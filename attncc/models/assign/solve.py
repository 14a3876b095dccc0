"""Which candidate gets each head, so that least is lost within the time? A knapsack with one choice for each head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from attncc.errors import BudgetTooSmall, ExtraMissing
from attncc.models.assign.costs import Costs
from attncc.models.assign.exact import Floats

#: The candidate of each KV head of each layer.
Choice: TypeAlias = tuple[tuple[int, ...], ...]

#: Time is saved within the budget too: all of it would be worth this share of every layer's squared output, which is a
#: change of the output by one part in a hundred.
WORTH = 1e-4
#: Relative distance from the best plan at which the solver may stop, and the seconds it may take.
GAP, SECONDS = 1e-4, 60.0


def solve(loss: Floats, relative: Floats, costs: Costs, budget: float, fixed: Sequence[bool]) -> Choice:
    """The choice with the least sum of `loss`, [layers, kv_heads, candidates], whose time is at most `budget` of that
    of all heads dense; `relative` is the work of each head, see `Costs`. What makes no difference is not paid for, see
    WORTH. Layers that are `fixed` stay dense, and count in neither.

    The program is linear in whole numbers: x[l, h, c] says that a head has a candidate, y[l, c] that a layer has a
    launch of it, which costs its `base`, z[l] that it has several, which costs `split`. HiGHS solves it. Raises
    BudgetTooSmall, ExtraMissing.
    """
    free = [layer for layer, stays in enumerate(fixed) if not stays]
    whole = (0,) * loss.shape[1]
    if not free:
        return (whole,) * len(fixed)
    found = _solved(loss[free], relative[free], costs, budget)
    if found is None:
        raise BudgetTooSmall(budget, least_share(relative[free], costs))
    rows = iter(found)
    return tuple(whole if stays else next(rows) for stays in fixed)


def least_share(relative: Floats, costs: Costs) -> float:
    """The time of a fast plan in that of dense: each layer with the one candidate that is fastest for all its heads."""
    whole = costs.base + (costs.each * relative).sum(1)
    return float(whole.min(1).sum() / whole[:, 0].sum())


def _solved(loss: Floats, relative: Floats, costs: Costs, budget: float) -> Choice | None:
    try:
        from scipy import sparse
        from scipy.optimize import Bounds, LinearConstraint, milp
    except ModuleNotFoundError as missing:
        raise ExtraMissing("finding a plan", "hf") from missing
    layers, heads, candidates = loss.shape
    choices, launches = layers * heads * candidates, layers * candidates
    dense = layers * costs.base[0] + float((costs.each * relative)[:, :, 0].sum())
    paid = [(costs.each * relative).ravel(), np.tile(costs.base, layers), np.full(layers, costs.split)]
    spent = np.concatenate(paid) / dense
    goal = np.concatenate([loss.ravel(), np.zeros(launches + layers)]) / (WORTH * layers) + spent
    # One candidate for each head: the sum over c of x[l, h, c] is 1.
    single = sparse.kron(sparse.eye(layers * heads), np.ones((1, candidates)))
    # A head's candidate needs the launch of its layer: x[l, h, c] <= y[l, c].
    needs = sparse.kron(sparse.eye(layers), sparse.kron(np.ones((heads, 1)), sparse.eye(candidates)))
    # Several launches: the sum over c of y[l, c] is at most 1 + candidates * z[l].
    several = sparse.kron(sparse.eye(layers), np.ones((1, candidates)))
    rules = sparse.bmat(
        [[single, None, None], [sparse.eye(choices), -needs, None], [None, several, -candidates * sparse.eye(layers)]]
    )
    most = np.concatenate([np.ones(layers * heads), np.zeros(choices), np.ones(layers)])
    least = np.concatenate([np.ones(layers * heads), np.full(choices + layers, -np.inf)])
    found = milp(
        goal,
        integrality=np.ones(len(goal)),
        bounds=Bounds(0, 1),
        constraints=[LinearConstraint(rules.tocsr(), least, most), LinearConstraint(spent[None, :], -np.inf, budget)],
        options={"mip_rel_gap": GAP, "time_limit": SECONDS},
    )
    if found.x is None:
        return None
    chosen = found.x[:choices].reshape(layers, heads, candidates).argmax(2)
    return tuple(tuple(int(one) for one in row) for row in chosen)
