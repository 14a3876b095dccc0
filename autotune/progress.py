"""What can be watched while tuning runs?"""

from __future__ import annotations

from typing import Protocol

from attncc.autotune.budget import Spending
from attncc.autotune.job import Job
from attncc.library.entry import LibraryEntry, Trial


class Progress(Protocol):
    """Is told what happens, in this order: `started`, any number of `trial`, `finished` unless an error ends it.

    Where tasks take turns, `started` is told again when one goes on, and before it is `finished`."""

    def started(self, job: Job, legal: int, remembered: int) -> None:
        """`legal` schedules are in the space; trials of `remembered` of them are in the library already."""
        ...

    def trial(self, trial: Trial, best: Trial | None, spending: Spending) -> None:
        """One more schedule was tried; `best` is the fastest so far."""
        ...

    def finished(self, entry: LibraryEntry) -> None:
        """The decision, as the library keeps it."""
        ...


class Silent:
    """Tells nobody."""

    def started(self, job: Job, legal: int, remembered: int) -> None: ...

    def trial(self, trial: Trial, best: Trial | None, spending: Spending) -> None: ...

    def finished(self, entry: LibraryEntry) -> None: ...
