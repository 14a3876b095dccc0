"""Schedules drawn at random, none twice, until all are tried: what any other strategy must beat."""

from __future__ import annotations

import random
from typing import Final

from attncc.autotune.strategies import Prior, Search
from attncc.ir.schedule import SearchSpace

#: Schedules that are raced together.
BATCH: Final = 8


def search(space: SearchSpace, rng: random.Random, prior: Prior) -> Search:
    everything = list(space.schedules())
    rng.shuffle(everything)
    for start in range(0, len(everything), BATCH):
        yield everything[start : start + BATCH]
