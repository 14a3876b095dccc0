"""How much may tuning cost, and how much of that is left?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from math import inf


@dataclass(frozen=True, slots=True)
class Budget:
    """Tuning ends at the first limit: seconds of wall time, or schedules tried; without one, with the search."""

    seconds: float = inf
    trials: float = inf


#: The search decides when it ends.
UNLIMITED = Budget()


@dataclass(slots=True)
class Spending:
    """What has been spent of a budget since this was made."""

    budget: Budget
    trials: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def fraction(self) -> float:
        """The share that is spent, by whichever limit is nearer; 0 without limits."""
        return max(self.seconds / self.budget.seconds, self.trials / self.budget.trials)

    def affordable(self) -> float:
        """How many more schedules may be tried."""
        return 0 if self.seconds >= self.budget.seconds else self.budget.trials - self.trials
