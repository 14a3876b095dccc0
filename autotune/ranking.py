"""How well do predicted times rank schedules? Correlation of ranks, and what it costs to believe them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attncc.ir.schedule import Schedule

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of `schedules` that were both predicted and measured: Spearman's correlation of ranks; by how much the best of
    the first 1, 5 and 12 predicted is slower than the best of all (0.02 is 2 %)."""

    schedules: int
    rank_correlation: float
    regret_1: float
    regret_5: float
    regret_12: float


def accuracy(predicted: Mapping[Schedule, float], measured: Mapping[Schedule, float]) -> Accuracy | None:
    """How well `predicted` ranks what was `measured`; None for fewer than two schedules in both."""
    common = [schedule for schedule in measured if schedule in predicted]
    if len(common) < 2:
        return None
    guess = np.array([predicted[schedule] for schedule in common])
    truth = np.array([measured[schedule] for schedule in common])
    regrets = [regret(guess, truth, first) for first in (1, 5, 12)]
    return Accuracy(len(common), rank_correlation(guess, truth), *regrets)


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's: the correlation of ranks, equal values sharing theirs; 0 if either is constant."""
    first, second = ranks(one), ranks(other)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def ranks(values: Floats) -> Floats:
    """The place of each value, from 0; the mean place for equal ones."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    places: Floats = (np.cumsum(sizes) - (sizes + 1) / 2)[group]
    return places


def regret(predicted: Floats, measured: Floats, first: int) -> float:
    """How much slower than the best is the best of the `first` by prediction? Of equal predictions, the earlier."""
    tried = np.argsort(predicted, kind="stable")[:first]
    return float(measured[tried].min() / measured.min() - 1)
