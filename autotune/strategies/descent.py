"""From the best of a few starts to its best neighbour, again and again, until no neighbour is better."""

from __future__ import annotations

import random
from typing import Final

from attncc.autotune.strategies import Search, ratio
from attncc.ir.schedule import SearchSpace

#: The default and so many random ones less one: enough to leave a poor default's valley.
STARTS: Final = 8


def search(space: SearchSpace, rng: random.Random) -> Search:
    best = min((yield space.sample(STARTS, rng)), key=ratio)
    while True:
        trials = yield list(space.neighbours(best.schedule))
        challenger = min(trials, key=ratio, default=best)
        if ratio(challenger) >= ratio(best):
            return
        best = challenger
