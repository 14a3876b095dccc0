"""What happens in the process that builds, verifies and times: it answers requests until its parent is gone.

Started by `isolate.py`. It may die or hang; nothing is lost with it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import Final

import torch

from attncc.autotune.inputs import Inputs, random_inputs
from attncc.autotune.job import Job
from attncc.autotune.measure import clock_for, repetitions
from attncc.autotune.request import Answer, Prepare, Request, Sample
from attncc.autotune.verify import Oracle, oracle, verify
from attncc.codegen.kernel import KernelSource
from attncc.errors import AttnccError
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure

PR_SET_PDEATHSIG: Final = 1


@dataclass(slots=True)
class _Bench:
    job: Job
    inputs: Inputs
    expected: Oracle
    calls: dict[Schedule, tuple[Callable[[], object], int]] = field(default_factory=dict)

    def answer(self, request: Request) -> Answer:
        match request:
            case Prepare(source):
                return self._prepare(source)
            case Sample(schedule):
                call, count = self.calls[schedule]
                return clock_for(self.job.device.kind)(call, count) / count

    def _prepare(self, source: KernelSource) -> Failure | None:
        try:
            kernel = self.job.backend.build(source, self.job.device)
            agreement = verify(kernel, self.inputs, self.expected)
        except AttnccError as error:
            return Failure("compile_error", str(error))
        except (torch.OutOfMemoryError, MemoryError) as error:
            return Failure("out_of_memory", str(error).partition("\n")[0] or "no memory for the kernel's buffers")
        if not agreement.holds:
            return Failure("incorrect", str(agreement))
        inputs = self.inputs
        call = partial(kernel, inputs.query, inputs.key, inputs.value, inputs.scale)
        self.calls[source.schedule] = call, repetitions(call, clock_for(self.job.device.kind))
        return None


def main() -> None:
    """Serves the connection whose file descriptor is the first argument."""
    _end_with_parent()
    with Connection(int(sys.argv[1])) as connection:
        job: Job = connection.recv()
        inputs = random_inputs(job.shape, job.operands.dtype, job.device.kind)
        bench = _Bench(job, inputs, oracle(job.pattern, inputs))
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
