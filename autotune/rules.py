"""How long is a race, and who leaves it early?"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

#: A lane leaves after round r when its ratio exceeds the best one by the factor for r; the last factor holds on.
LIMITS: Final = (1.1, 1.05)


@dataclass(frozen=True, slots=True)
class Rules:
    """How many rounds a race has, and who leaves it before: those beyond `limits`, and from `telling` rounds on those
    that can be told apart from the best, or are settled; it is asked every so many rounds. With `halving`, the slower
    half leaves after 1, 2, 4, ... rounds. So many as `together` are built, then raced, as long as not more than `share`
    of the time is over. A last race has `places` for the fastest, and as many for those that tie with them and would be
    preferred."""

    rounds: int
    limits: tuple[float, ...] = ()
    telling: float = inf
    halving: bool = False
    together: int = 8
    share: float = 0.85
    places: int = 2

    def limit(self, samples: int) -> float:
        """How many times the best ratio a lane with so many samples may have."""
        return (*self.limits[samples - 1 :], *self.limits[-1:], inf)[0]


#: A search and its last race together cost a seventh of timing all schedules of a space eight times, at most.
SEARCH: Final = Rules(rounds=3, limits=LIMITS)
CONFIRM: Final = Rules(rounds=20, telling=4, share=1.0)
