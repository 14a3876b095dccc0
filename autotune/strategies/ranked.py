"""What a model ranks first and what won before, then the neighbours of the best, until they have no better ones."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from math import inf
from typing import Final

from attncc.autotune.strategies import Prior, Search, ratio
from attncc.ir.schedule import Schedule, SearchSpace
from attncc.library.entry import Trial

#: So many of the model's first are tried before any neighbour, or half of what may be tried if that is less.
FIRST: Final = 12
#: The neighbours of so many are looked at, so that one schedule that fails does not block the way.
LEADERS: Final = 2


def search(space: SearchSpace, rng: random.Random, prior: Prior) -> Search:
    most = inf if prior.most is None else prior.most
    known = [schedule for schedule in prior.winners if space.holds(schedule)]
    start = dict.fromkeys([space.default(), *known, *_best_ranked(space, prior)])
    trials: list[Trial] = list((yield list(start)[: int(min(most, len(start)))]))
    while len(trials) < most:
        tried = {trial.schedule for trial in trials}
        near = [schedule for schedule in _near(space, trials) if schedule not in tried]
        if not near:
            return
        trials += yield _ordered(near, prior)[: int(min(most - len(trials), len(near)))]


def _best_ranked(space: SearchSpace, prior: Prior) -> Sequence[Schedule]:
    if prior.micros is None:
        return ()
    first = FIRST if prior.most is None else min(FIRST, max(1, prior.most // 2))
    return sorted(space.schedules(), key=prior.micros)[:first]


def _near(space: SearchSpace, trials: Iterable[Trial]) -> Iterable[Schedule]:
    """The neighbours of the leaders, of the first one first."""
    leaders = sorted(trials, key=ratio)[:LEADERS]
    return dict.fromkeys(schedule for trial in leaders for schedule in space.neighbours(trial.schedule))


def _ordered(near: Sequence[Schedule], prior: Prior) -> list[Schedule]:
    return list(near) if prior.micros is None else sorted(near, key=prior.micros)
