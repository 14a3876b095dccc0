"""Every schedule of the space, in its order."""

from __future__ import annotations

import random
from itertools import islice
from typing import Final

from attncc.autotune.rules import Rules
from attncc.autotune.strategies import Prior, Search
from attncc.ir.schedule import SearchSpace

#: Of all schedules most are hopeless: one round tells which, and the last race, not this one, tells the best apart.
RULES: Final = Rules(rounds=4, limits=(1.02, 1.0), together=64)
#: Who measures everything wants to know more exactly as well.
LAST: Final = Rules(rounds=32, telling=8, share=1.0, places=4)


def search(space: SearchSpace, rng: random.Random, prior: Prior) -> Search:
    rest = space.schedules()
    while batch := list(islice(rest, RULES.together)):
        yield batch
