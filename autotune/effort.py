"""How hard is a schedule searched for? Three words that stand for a strategy, a number of trials, and seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from attncc.ir.schedule import SearchSpace


@dataclass(frozen=True, slots=True)
class Effort:
    """What a strategy may spend on one call: `share` of the legal schedules, within two bounds, and wall time. Where
    other calls were measured on the hardware, a model knows more, and no more than `later` are tried."""

    strategy: str
    seconds: float
    share: float
    fewest: int
    greatest: int
    later: int

    def most(self, space: SearchSpace, *, later: bool = False) -> int:
        """How many schedules of `space` are tried at most, for the first or a `later` call of the hardware."""
        legal = sum(1 for _ in space.schedules())
        greatest = min(self.greatest, self.later) if later else self.greatest
        return min(greatest, max(self.fewest, math.floor(self.share * legal)))


DEFAULT: Final = "standard"

#: All of `quick` is over in a minute: the last race and the start of the processes take what is left of it.
EFFORTS: Final[Mapping[str, Effort]] = {
    "quick": Effort("ranked", seconds=45.0, share=0.08, fewest=4, greatest=12, later=8),
    "standard": Effort("ranked", seconds=180.0, share=0.15, fewest=8, greatest=64, later=12),
    "full": Effort("exhaustive", seconds=math.inf, share=1.0, fewest=1, greatest=1500, later=1500),
}
