"""How is one budget shared by many tasks? Each has a turn; then the next turn goes where the last ones gained most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf, log
from typing import Final

from attncc import compiler
from attncc.autotune.session import Session, TuneResult
from attncc.autotune.strategies import Prior, Strategy
from attncc.errors import AttnccError

#: A turn may be expected to gain this share of what the turns before it did, even when the last one gained nothing.
FADING: Final = 0.5


@dataclass(slots=True)
class Task:
    """A session that has turns. `rest` gives back what it needs only while it has one; `gain` is what the next turn may
    be expected to gain, as a logarithm of the time: unknown, and so infinite, before the first."""

    session: Session
    propose: Strategy
    prior: Prior
    rest: Callable[[], None] = field(default=lambda: None)
    gain: float = inf
    begun: bool = False
    outcome: TuneResult | AttnccError | None = None

    def turn(self) -> bool:
        """One more proposal; False when there is none, the budget is spent, or the task cannot go on."""
        before = self.session.best()
        try:
            if self.begun:
                self.session.resume()
            else:
                self.session.begin(self.propose, self.prior)
                self.begun = True
            more = self.session.advance()
        except AttnccError as error:
            self.outcome = error
            return False
        self.gain = max(log(before / self.session.best()), FADING * min(self.gain, 1.0))
        return more

    def conclude(self) -> None:
        """The decision from what was found."""
        try:
            if self.outcome is None:
                self.session.resume()
                self.outcome = self.session.conclude()
        except AttnccError as error:
            self.outcome = error


def tune_all(tasks: Sequence[Task]) -> list[TuneResult | AttnccError]:
    """Tunes every task on one budget, that of their sessions' shared Spending; an error ends only the task it is of.

    The order of turns follows from the times alone, and from the order of `tasks` where they gain alike. After Ctrl-C
    every task keeps its decision so far, and KeyboardInterrupt is raised.
    """
    waiting, running = list(tasks), None
    try:
        while waiting:
            chosen = max(waiting, key=lambda task: task.gain)
            if running is not None and running is not chosen:
                running.rest()
            running = chosen
            if not chosen.turn():
                waiting.remove(chosen)
        for task in tasks:
            task.conclude()
            task.rest()
    except KeyboardInterrupt:
        for task in tasks:
            task.session.keep_what_there_is()
        raise
    compiler.forget()
    return [task.outcome for task in tasks if task.outcome is not None]
