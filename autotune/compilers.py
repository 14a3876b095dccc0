"""How are many kernels compiled at once? Each by a process of its own, which may be killed without a loss."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Self

from attncc.autotune.isolate import Isolated
from attncc.autotune.job import Job
from attncc.autotune.request import Build
from attncc.codegen.kernel import KernelSource
from attncc.library.entry import Failure

#: Each imports PyTorch, which takes some 300 MB.
MOST: Final = 8


@dataclass(slots=True)
class Compilers:
    """Processes that compile for a job, started as they are needed, from the first request to the end of `with`."""

    job: Job
    seconds: float
    most: int = 0
    _all: list[Isolated] = field(default_factory=list)
    _free: SimpleQueue[Isolated] = field(default_factory=SimpleQueue)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        for _ in range(self.most or usable()):
            self._all.append(self._stack.enter_context(Isolated(self.job)))
            self._free.put(self._all[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def rest(self) -> None:
        """Ends the processes until something is to be compiled again."""
        for isolated in self._all:
            isolated.rest()

    def build(self, sources: Sequence[KernelSource]) -> list[Failure | None]:
        """Of each source why it cannot be compiled; None where it can. Raises WorkerLost."""
        with ThreadPoolExecutor(len(self._all)) as pool:
            try:
                return list(pool.map(self._one, sources))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for isolated in self._all:
                    isolated.kill()
                raise

    def _one(self, source: KernelSource) -> Failure | None:
        isolated = self._free.get()
        try:
            answer = isolated.ask(Build(source), self.seconds)
        finally:
            self._free.put(isolated)
        assert answer is None or isinstance(answer, Failure), "a build succeeds or tells why not"
        return answer


def usable() -> int:
    """One process for each core but one, on which the tuner and its kernels run."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST, cores - 1))
