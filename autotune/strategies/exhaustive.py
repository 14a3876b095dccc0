"""Every schedule of the space, in its order."""

from __future__ import annotations

import random
from itertools import islice
from typing import Final

from attncc.autotune.strategies import Prior, Search
from attncc.ir.schedule import SearchSpace

#: Schedules that are raced together.
BATCH: Final = 8


def search(space: SearchSpace, rng: random.Random, prior: Prior) -> Search:
    rest = space.schedules()
    while batch := list(islice(rest, BATCH)):
        yield batch
