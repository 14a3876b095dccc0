"""What would many schedules use on a GPU? Compiled by several processes at a time, and never twice."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final, Protocol

from attncc.autotune.isolate import Isolated
from attncc.autotune.job import Job
from attncc.autotune.request import Inspect, Used
from attncc.codegen.kernel import KernelSource
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure
from attncc.settings import cache_dir

INSPECT_SECONDS: Final = 60.0
#: Each process holds PyTorch and a compiler in memory.
MOST_PROCESSES: Final = 8
#: What a machine that is busy may have caused is asked again.
PASSING: Final = ("crash", "timeout")


class Inspector(Protocol):
    """Cross-compiles a schedule and says what it uses; may be asked by several threads at a time."""

    def __call__(self, schedule: Schedule) -> Used | Failure: ...


@dataclass(frozen=True, slots=True)
class Inspectors:
    """Inspects by processes of their own, as many as threads ask at a time; a lost one is replaced."""

    job: Job
    idle: SimpleQueue[Isolated]

    @staticmethod
    def entered(job: Job, processes: int, stack: ExitStack) -> Inspectors:
        """So many, started when they are needed and ended with `stack`."""
        idle: SimpleQueue[Isolated] = SimpleQueue()
        for _ in range(processes):
            idle.put(stack.enter_context(Isolated(job)))
        return Inspectors(job, idle)

    def __call__(self, schedule: Schedule) -> Used | Failure:
        source = self.job.source(schedule)
        path = cache_dir() / f"used_{_digest(source, self.job)}.json"
        known = _read(path)
        if known is not None:
            return known
        found = self._asked(source)
        if isinstance(found, Used) or found.reason not in PASSING:
            _write(path, found)
        return found

    def _asked(self, source: KernelSource) -> Used | Failure:
        isolated = self.idle.get()
        try:
            answer = isolated.ask(Inspect(source), INSPECT_SECONDS)
        finally:
            self.idle.put(isolated)
        assert isinstance(answer, Used | Failure), "an inspection tells what is used or why there is no kernel"
        return answer


def processes() -> int:
    """How many compile at a time: one for each core that this process may use."""
    return min(MOST_PROCESSES, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)


def _digest(source: KernelSource, job: Job) -> str:
    """Of everything that decides what is used; the launch options stand in the schedule, not in the text."""
    parts = (source.text, str(source.schedule), job.device.arch, job.backend.toolchain(job.device))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _read(path: Path) -> Used | Failure | None:
    """What was found earlier; None where there was nothing, or its file cannot be read."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return Failure(**known) if "reason" in known else Used(**known)
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, found: Used | Failure) -> None:
    """Whole or not at all: another process may be reading, or writing the same."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(asdict(found)), encoding="utf-8")
    partial.replace(path)
