"""What happens in the process where compilers and kernels run? It answers requests until its parent is gone.

Started by `isolate.py`. It may die or hang; nothing is lost with it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import Final

import torch

from attncc.autotune.alarm import limited
from attncc.autotune.inputs import Inputs, random_inputs
from attncc.autotune.job import Job
from attncc.autotune.legality import sparing, spilled
from attncc.autotune.measure import Clock, clock_for, launched, repetitions
from attncc.autotune.request import Answer, Build, Inspect, Prepare, Request, Sample, Used
from attncc.autotune.verify import Oracle, call, oracle, verify
from attncc.codegen.kernel import KernelSource
from attncc.errors import AttnccError
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure

PR_SET_PDEATHSIG: Final = 1


#: The instruction of the fastest products, where an architecture has more than one kind.
FASTEST: Mapping[str, str] = {"sm_90": "wgmma", "sm_100": "tcgen05"}


@dataclass(slots=True)
class Bench:
    """Answers the requests for one job."""

    job: Job
    inputs: Inputs | None = None
    expected: Oracle | None = None
    calls: dict[Schedule, tuple[Callable[[], object], int]] = field(default_factory=dict)

    def answer(self, request: Request) -> Answer:
        match request:
            case Build(source):
                return _explained(partial(self._build, source))
            case Prepare(source):
                return _explained(partial(self._prepare, source))
            case Sample(schedule):
                ready, count = self.calls[schedule]
                return _explained(partial(self._sample, ready, count))
            case Inspect(source):
                return _explained(partial(self._inspect, source))

    def _sample(self, ready: Callable[[], object], count: int) -> float:
        with limited(self.job.device.kind):
            return self._clock()(ready, count) / count

    def _clock(self) -> Clock:
        return clock_for(self.job.device.kind, self.job.policy)

    def _build(self, source: KernelSource) -> Failure | None:
        failure = self._spilled(source)
        if failure is None:
            self.job.backend.build(source, self.job.device)
        return failure

    def _prepare(self, source: KernelSource) -> Failure | None:
        failure = self._spilled(source)
        if failure is not None:
            return failure
        if self.inputs is None or self.expected is None:
            job = self.job
            self.inputs = random_inputs(job.shape, job.operands.dtype, job.device.kind, pattern=job.pattern)
            self.expected = oracle(job.pattern, self.inputs)
        kernel, inputs = self.job.backend.build(source, self.job.device), self.inputs
        with limited(self.job.device.kind):
            agreement = verify(kernel, inputs, self.expected)
            if not agreement.holds:
                return Failure("unrepeatable" if agreement.right else "incorrect", str(agreement))
            ready = launched(partial(call, kernel, inputs), self.job.policy)
            self.calls[source.schedule] = ready, repetitions(ready, self._clock())
        return None

    def _spilled(self, source: KernelSource) -> Failure | None:
        """Why a kernel that must not spill is not to be timed: it spills, or does not compile for this GPU."""
        if self.job.device.kind != "cuda" or not sparing(source.schedule):
            return None
        used = self._inspect(source)
        return used if isinstance(used, Failure) else spilled(source.schedule, used.spill_bytes)

    def _inspect(self, source: KernelSource) -> Used | Failure:
        # Triton takes half a second to import, and is there only for GPUs.
        from attncc.codegen.triton.static import Unbuildable, resources

        device = self.job.device
        found = resources(source, device)
        if isinstance(found, Unbuildable):
            return Failure("compile_error", found.reason)
        fastest = FASTEST.get(device.arch)
        tensor_cores = fastest is None or fastest in found.instructions
        return Used(found.registers, found.spill_bytes, found.shared_bytes, tensor_cores)


def _explained(work: Callable[[], Answer]) -> Answer:
    try:
        return work()
    except AttnccError as error:
        return Failure("compile_error", str(error))
    except (torch.OutOfMemoryError, MemoryError) as error:
        return Failure("out_of_memory", str(error).partition("\n")[0] or "no memory for the kernel's buffers")


def main() -> None:
    """Serves the connection whose file descriptor is the first argument."""
    _end_with_parent()
    with Connection(int(sys.argv[1])) as connection:
        bench = Bench(connection.recv())
        connection.send(None)
        try:
            while True:
                connection.send(bench.answer(connection.recv()))
        except EOFError:
            return


def _end_with_parent() -> None:
    """A parent that is killed cannot stop a kernel that hangs; the operating system does."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)
