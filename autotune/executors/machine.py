"""What runs on a machine of a cluster: it holds one device, and answers for one job at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from attncc import settings
from attncc.autotune.isolate import Isolated
from attncc.autotune.job import Job
from attncc.autotune.provenance import made_with
from attncc.autotune.request import Answer, Request, Sample
from attncc.autotune.watched import Trouble, trouble_of
from attncc.codegen.kernel import KernelSource
from attncc.device import DeviceModel, host

#: Names and contents of what a compiler made, to be put into the cache of the machine that measures.
Built: TypeAlias = Mapping[str, bytes]


class Asked(Protocol):
    """Answers the requests of one job; an Isolated, or a record of what one answered."""

    generation: int

    def ask(self, request: Request, seconds: float) -> Answer: ...


Opens: TypeAlias = Callable[[Job], AbstractContextManager[Asked]]
Watch: TypeAlias = Callable[[DeviceModel], Trouble]


def isolated(job: Job) -> AbstractContextManager[Asked]:
    """Kernels run in a process of their own, there as here: a crash costs a restart, not a machine."""
    return Isolated(job)


@dataclass(slots=True)
class Machine:
    """One device of a machine. `opens` is what measures, `watch` what tells of trouble meanwhile."""

    opens: Opens = isolated
    watch: Watch = trouble_of
    _trouble: Trouble = tuple
    _job: Job | None = None
    _asked: Asked | None = None
    _open: list[AbstractContextManager[Asked]] = field(default_factory=list)

    def environment(self, job: Job) -> tuple[str, str]:
        """The hardware of this machine, and what kernels would be built with."""
        return _hardware(job), job.backend.toolchain(job.device)

    def take(self, job: Job) -> None:
        """Begins with a job, and ends with the one before."""
        self.leave()
        opened = self.opens(job)
        self._job, self._asked, self._open = job, opened.__enter__(), [opened]
        self._trouble = self.watch(job.device)

    def leave(self) -> None:
        """Ends with the job."""
        while self._open:
            self._open.pop().__exit__(None, None, None)
        self._job = self._asked = None

    def ask(self, request: Request, seconds: float, built: Built) -> tuple[Answer, int, tuple[str, ...]]:
        """The answer, the generation of the process that gave it, and of a sample what slowed the device down."""
        assert self._asked is not None, "a machine is asked about a job that it has taken"
        keep(built)
        answer = self._asked.ask(request, seconds)
        return answer, self._asked.generation, self._trouble() if isinstance(request, Sample) else ()

    def made_with(self, device: DeviceModel) -> tuple[tuple[str, str], ...]:
        """Versions here, how busy the machine is, and the conditions of its GPU."""
        return made_with(device)


def _hardware(job: Job) -> str:
    """As the machine finds it; recorded devices are wherever their records are."""
    if not job.device.present or not job.writer.startswith("attncc."):
        return job.device.hardware
    if job.device.kind == "cpu":
        return host().hardware
    # Only where kernels run.
    import torch

    from attncc.calls import model_of

    return model_of(torch.device("cuda")).hardware


def keep(built: Built) -> None:
    """Puts what was compiled elsewhere into this machine's cache, the files that others name last."""
    for name in sorted(built, key=lambda name: name.endswith(".json")):
        assert Path(name).name == name, f"{name} is no plain file name"
        target = settings.cache_dir() / name
        if not target.exists():
            handle, scratch = tempfile.mkstemp(dir=target.parent)
            with os.fdopen(handle, "wb") as stream:
                stream.write(built[name])
            os.replace(scratch, target)


def compiled(job: Job, source: KernelSource) -> Built:
    """What the compiler makes of a source for CPUs. Kernels for GPUs are compiled where they are timed: nothing.

    Raises what the compiler raises.
    """
    if source.backend != "cpu":
        return {}
    from attncc.codegen.cpu.build import shared_object
    from attncc.codegen.cpu.toolchain import compiler

    with tempfile.TemporaryDirectory() as folder:
        shared_object(source, compiler(), Path(folder))
        return {file.name: file.read_bytes() for file in Path(folder).iterdir() if file.is_file()}
