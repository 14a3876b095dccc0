"""Part of pytest in a run of `tests.gpu.run`: leaves out what is settled, keeps each outcome at once, stops in time."""

from __future__ import annotations

import json
import os
import sys
import time
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import pytest

#: Where outcomes are kept, the second at which no further test begins, and whose share of the tests it is, `1/4`.
KEPT, END, SHARE = "ATTNCC_GPU_TESTS", "ATTNCC_GPU_END", "ATTNCC_GPU_SHARE"
#: A test without any other outcome: it is running, or ended the process.
BEGUN: Final = "begun"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one test: `passed`, `failed`, `skipped`, `hung` or `crashed`; `said` is a line of the reason."""

    test: str
    outcome: str
    seconds: float = 0.0
    said: str = ""


@dataclass(slots=True)
class Book:
    """Outcomes in a file, a line each, the last one of a test in force; several write to one file, each of its own
    share of the tests."""

    path: Path
    number: int = 0
    shares: int = 1

    def mine(self, test: str) -> bool:
        """Whether a test is of this share, whatever else is run."""
        return zlib.crc32(test.encode()) % self.shares == self.number

    def add(self, outcome: Outcome) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")

    def read(self) -> dict[str, Outcome]:
        """By test, in the order in which they were begun."""
        if not self.path.exists():
            return {}
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return {one.test: one for one in (Outcome(**json.loads(line)) for line in lines)}

    def settled(self) -> set[str]:
        return {test for test, one in self.read().items() if one.outcome != BEGUN}

    def running(self) -> str | None:
        """The test that has begun last, if nothing came of it yet."""
        found = [one for one in self.read().values() if self.mine(one.test)]
        return found[-1].test if found and found[-1].outcome == BEGUN else None


@dataclass(slots=True)
class Piece:
    """The hooks of one run."""

    book: Book
    end: float
    session: pytest.Session | None = field(default=None)

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.session = session

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        settled = self.book.settled()
        left = [item for item in items if item.nodeid not in settled and self.book.mine(item.nodeid)]
        config.hook.pytest_deselected(items=[item for item in items if item not in left])
        items[:] = left

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.book.add(Outcome(nodeid, BEGUN))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            said = str(report.longrepr[-1]) if isinstance(report.longrepr, tuple) else last_line(report.longreprtext)
            self.book.add(Outcome(report.nodeid, report.outcome, round(report.duration, 3), said))
        if report.outcome == "failed" and not alive():
            self._stop("the GPU answers nothing any more in this process")

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        if time.time() >= self.end:
            self._stop("time is over")

    def _stop(self, why: str) -> None:
        assert self.session is not None, "tests run in a session"
        self.session.shouldstop = why


def last_line(text: str) -> str:
    """Where pytest says what was wrong."""
    lines = [line[1:].strip() for line in text.splitlines() if line.startswith("E")]
    return lines[0] if lines else ""


def alive() -> bool:
    """Whether the GPU still does what it is told; true where there is none, or nobody has asked it for anything."""
    if "torch" not in sys.modules:
        return True
    import torch

    if not torch.cuda.is_available():
        return True
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def pytest_configure(config: pytest.Config) -> None:
    """Registers the hooks where a run asks for them."""
    if KEPT in os.environ:
        number, _, shares = os.environ[SHARE].partition("/")
        book = Book(Path(os.environ[KEPT]), int(number), int(shares))
        config.pluginmanager.register(Piece(book, float(os.environ[END])))
