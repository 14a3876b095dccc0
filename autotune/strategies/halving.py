"""Many at once, for a round or two: the slower half leaves after the first, second and fourth round (successive
halving, arXiv 1502.07943)."""

from __future__ import annotations

import random
from typing import Final

from attncc.autotune.rules import LIMITS, Rules
from attncc.autotune.strategies import Prior, Search
from attncc.ir.schedule import SearchSpace

RULES: Final = Rules(rounds=8, limits=LIMITS, halving=True, together=32)


def search(space: SearchSpace, rng: random.Random, prior: Prior) -> Search:
    """All in one field, or as many as may be tried: those that a model ranks first, else a random draw."""
    everything = [schedule for schedule in space.sample(1 << 30, rng) if schedule != space.default()]
    if prior.micros is not None:
        everything.sort(key=prior.micros)
    known = [schedule for schedule in prior.winners if space.holds(schedule)]
    yield list(dict.fromkeys([space.default(), *known, *everything]))[: prior.most]
