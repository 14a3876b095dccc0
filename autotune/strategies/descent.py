"""From a few starts to the neighbours of the best, again and again, until the best have no better neighbours."""

from __future__ import annotations

import random
from typing import Final

from attncc.autotune.strategies import Prior, Search, ratio
from attncc.ir.schedule import SearchSpace
from attncc.library.entry import Trial

#: The default and so many random ones less one: enough to leave a poor default's valley.
STARTS: Final = 8
#: The neighbours of so many are looked at, so that one schedule that fails does not block the way.
LEADERS: Final = 2


def search(space: SearchSpace, rng: random.Random, prior: Prior) -> Search:
    trials: list[Trial] = list((yield space.sample(STARTS, rng)))
    explored = set()
    while leaders := [
        trial.schedule for trial in sorted(trials, key=ratio)[:LEADERS] if trial.schedule not in explored
    ]:
        explored.add(leaders[0])
        tried = {trial.schedule for trial in trials}
        trials += yield [near for near in space.neighbours(leaders[0]) if near not in tried]
