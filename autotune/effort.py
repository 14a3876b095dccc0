"""How hard is a schedule searched for? Three words that stand for a strategy, a number of trials, and seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from attncc.ir.schedule import SearchSpace


@dataclass(frozen=True, slots=True)
class Effort:
    """What a strategy may spend on one call: `share` of the legal schedules, within two bounds, and wall time."""

    strategy: str
    seconds: float
    share: float
    fewest: int
    greatest: int

    def most(self, space: SearchSpace) -> int:
        """How many schedules of `space` are tried at most."""
        legal = sum(1 for _ in space.schedules())
        return min(self.greatest, max(self.fewest, math.floor(self.share * legal)))


DEFAULT: Final = "standard"

#: All of `quick` is over in a minute: the last race and the start of the processes take what is left of it.
EFFORTS: Final[Mapping[str, Effort]] = {
    "quick": Effort("ranked", seconds=45.0, share=0.08, fewest=4, greatest=12),
    "standard": Effort("ranked", seconds=180.0, share=0.15, fewest=8, greatest=64),
    "full": Effort("exhaustive", seconds=math.inf, share=1.0, fewest=1, greatest=1500),
}
