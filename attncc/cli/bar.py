"""The progress of tuning on a terminal: one bar a task, with the best so far and the time left."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.progress import Task as Shown
from rich.text import Text

from attncc.autotune.budget import Spending
from attncc.autotune.job import Job
from attncc.library.entry import LibraryEntry, Trial

WIDTH = 24


class TuningBar:
    """A Progress of the tuner that draws to standard error, and only if that is a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=WIDTH),
            TextColumn("{task.fields[tried]}  {task.fields[best]}"),
            _Left(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bars.add_task("", visible=False, tried="", best="")
        self._legal = 0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bars.stop()

    def started(self, job: Job, legal: int, remembered: int) -> None:
        self._legal = legal
        known = f"{remembered} remembered" if remembered else "checking the default"
        self._task = self._bars.add_task(str(job), total=1.0, tried=f"{legal} schedules", best=known)

    def trial(self, trial: Trial, best: Trial | None, spending: Spending) -> None:
        found = "none works yet" if best is None else f"best {best.micros:,.0f} us ({1 / best.ratio:.2f} x default)"
        done = max(spending.fraction(), min(1.0, spending.trials / max(1, self._legal)))
        self._bars.update(self._task, completed=done, tried=f"{spending.trials} of {self._legal}", best=found)

    def finished(self, entry: LibraryEntry) -> None:
        self._bars.update(self._task, completed=1.0)


class _Left(TextColumn):
    """What is left of the time, if the rest goes like what is done."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Shown) -> Text:
        if task.finished or not task.completed or task.elapsed is None:
            return Text("")
        return Text(f"{task.elapsed * (1 - task.completed) / task.completed:,.0f} s left")
