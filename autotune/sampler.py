"""What does the tuner ask of a machine? To say what a schedule becomes, to make it ready, to time it once."""

from __future__ import annotations

from typing import Protocol

from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure


class Sampler(Protocol):
    """Failures are answers, not exceptions: a schedule that does not work is a result like any other."""

    def source(self, schedule: Schedule) -> str:
        """The digest of the generated source."""
        ...

    def prepare(self, schedule: Schedule) -> Failure | None:
        """Builds the kernel and compares it with the reference; None when it may be timed."""
        ...

    def sample(self, schedule: Schedule) -> float | Failure:
        """Microseconds per call of a prepared schedule, over a few milliseconds of calls."""
        ...
