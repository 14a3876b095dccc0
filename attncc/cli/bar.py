"""The progress of tuning on a terminal: one bar a task, with the best so far and the time left."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from attncc.autotune.budget import Spending
from attncc.autotune.job import Job
from attncc.library.entry import LibraryEntry, Trial

WIDTH = 24


class TuningBar:
    """A Progress of the tuner that draws to standard error, and only if that is a terminal."""

    def __init__(self, tasks: int) -> None:
        console = Console(stderr=True)
        told = TextColumn("{task.fields[tried]}  {task.fields[best]}")
        name, bar = TextColumn("{task.description}"), BarColumn(bar_width=WIDTH)
        self._bars = Progress(name, bar, told, _Left(), console=console, disable=not console.is_terminal)
        self._tasks, self._shown = tasks, 0
        self._legal = 0
        self._known: dict[str, TaskID] = {}
        self._current = TaskID(0)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bars.stop()

    def started(self, job: Job, legal: int, remembered: int) -> None:
        """A task that goes on after others keeps its bar."""
        self._legal = legal
        if str(job) in self._known:
            self._current = self._known[str(job)]
            return
        self._shown += 1
        known = f"{remembered} remembered" if remembered else "checking the default"
        description = f"{self._shown}/{self._tasks} {job}"
        self._current = self._known[str(job)] = self._bars.add_task(
            description, total=1.0, tried=f"{legal} schedules", best=known, ends=None
        )

    def trial(self, trial: Trial, best: Trial | None, spending: Spending) -> None:
        found = "none works yet" if best is None else f"best {best.micros:,.0f} us ({1 / best.ratio:.2f} x default)"
        done = min(1.0, max(spending.fraction(), spending.trials / max(1, self._legal)))
        left = spending.seconds * (1 - done) / done if done else None
        ends = None if left is None else time.monotonic() + left
        self._update(done, tried=f"{spending.trials} of {self._legal}", best=found, ends=ends)

    def finished(self, entry: LibraryEntry) -> None:
        best = f"{entry.micros:,.0f} us ({entry.speedup:.2f} x default)"
        self._update(1.0, tried=f"{entry.trials} tried", best=best, ends=None)

    def _update(self, done: float, tried: str, best: str, ends: float | None) -> None:
        self._bars.update(self._current, completed=done, tried=tried, best=best, ends=ends)


class _Left(ProgressColumn):
    """What is left of the time, if the rest goes like what is done."""

    def render(self, task: Task) -> Text:
        ends = task.fields["ends"]
        return Text("" if ends is None else f"{max(0.0, ends - time.monotonic()):,.0f} s left")
