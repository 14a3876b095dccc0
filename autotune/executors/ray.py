"""Schedules are built on any CPU of a Ray cluster and timed by one actor per GPU, or per machine where CPUs are tuned.

This process keeps the library and the search; an actor holds no state that is missed when its node is lost.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from attncc.autotune.executors.machine import Built, Machine, Opens, Watch, compiled, isolated
from attncc.autotune.job import Job
from attncc.autotune.request import Answer, Prepare, Request
from attncc.autotune.sampler import IsolatedSampler, Sampler
from attncc.autotune.watched import Watched, trouble_of
from attncc.codegen.kernel import KernelSource
from attncc.device import DeviceKind, DeviceModel
from attncc.errors import AttnccError, WorkerLost
from attncc.library.entry import Failure

#: For what travels, and for an actor that starts; a node that is silent for longer is lost.
TRAVEL_SECONDS: Final = 60.0
COMPILE_SECONDS: Final = 120.0

#: Ray has no types of its own for handles.
Handle: TypeAlias = ray.actor.ActorHandle


@dataclass(slots=True)
class Remote:
    """Asks a machine of the cluster as one asks an Isolated; raises WorkerLost when it is gone."""

    job: Job
    handle: Handle
    generation: int = 0
    troubled: tuple[str, ...] = ()
    _tasks: dict[KernelSource, ray.ObjectRef] = field(default_factory=dict)

    def build(self, sources: Sequence[KernelSource]) -> list[Failure | None]:
        """Compiles all at once, wherever there are free CPUs; None for each that has become a kernel."""
        for source in sources:
            self._task(source)
        answers = [self._compiled(source) for source in sources]
        return [answer if isinstance(answer, Failure) else None for answer in answers]

    def ask(self, request: Request, seconds: float) -> Answer:
        built: Built = {}
        if isinstance(request, Prepare):
            found = self._compiled(request.source)
            if isinstance(found, Failure):
                return found
            built = found
        told = _told(self.handle.ask.remote(request, seconds, built), seconds + TRAVEL_SECONDS)
        answer, self.generation, self.troubled = cast(tuple[Answer, int, tuple[str, ...]], told)
        return answer

    def trouble(self) -> tuple[str, ...]:
        """What slowed the machine down while it took its last sample."""
        return self.troubled

    def made_with(self, device: DeviceModel) -> tuple[tuple[str, str], ...]:
        """The machine that measures, in its own words."""
        return cast(tuple[tuple[str, str], ...], _told(self.handle.made_with.remote(device), TRAVEL_SECONDS))

    def rest(self) -> None:
        """The cluster keeps its actor until the job is done."""

    def _task(self, source: KernelSource) -> ray.ObjectRef:
        if source not in self._tasks:
            task = ray.remote(num_cpus=1, max_retries=2)(_compile)
            self._tasks[source] = task.remote(self.job, source)
        return self._tasks[source]

    def _compiled(self, source: KernelSource) -> Built | Failure:
        # Kernels for GPUs are compiled where they are timed.
        if source.backend != "cpu":
            return {}
        return cast(Built | Failure, _told(self._task(source), COMPILE_SECONDS))


@dataclass(slots=True)
class OnRay:
    """The machines of the cluster that this process is connected to, for one kind of device."""

    kind: DeviceKind
    opens: Opens = isolated
    watch: Watch = trouble_of
    _free: list[Handle] = field(default_factory=list)
    _all: tuple[Handle, ...] = ()
    _alive: int = 0
    _closed: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self._free = [handle for node in ray.nodes() if node["Alive"] for handle in self._of(node)]
        self._all, self._alive = tuple(self._free), len(self._free)
        if not self._alive:
            raise WorkerLost(f"the cluster has no machine to time {self.kind} kernels on")

    @property
    def places(self) -> int:
        return self._alive

    @contextmanager
    def sampler(self, job: Job) -> Iterator[Sampler]:
        """Raises WorkerLost also if no machine is left, or one would build with another compiler than this one."""
        handle, alive = self._taken(), False
        try:
            self._begin(job, handle)
            try:
                remote = Remote(job, handle)
                yield Watched(IsolatedSampler(remote), remote.trouble, made_with=remote.made_with)
            except WorkerLost:
                raise
            except AttnccError:
                alive = True
                raise
            _told(handle.leave.remote(), TRAVEL_SECONDS)
            alive = True
        finally:
            # A machine that did not end its job may still be busy with it; nothing else is timed there.
            self._returned(handle, alive)

    def close(self) -> None:
        """Ends all actors; jobs that still run lose their places."""
        with self._changed:
            self._closed = True
        for handle in self._all:
            ray.kill(handle)

    def _begin(self, job: Job, handle: Handle) -> None:
        theirs, ours = _told(handle.environment.remote(job), TRAVEL_SECONDS), (job.device.hardware, job.key().toolchain)
        if theirs != ours:
            raise WorkerLost(f"a machine of the cluster has {theirs}, this one {ours}")
        _told(handle.take.remote(job), TRAVEL_SECONDS)

    def _of(self, node: dict[str, object]) -> list[Handle]:
        resources = node["Resources"]
        assert isinstance(resources, dict), "Ray tells the resources of a node by name"
        gpus = int(resources.get("GPU", 0))
        count, each = (min(1, int(resources.get("CPU", 0))), 0) if self.kind == "cpu" else (gpus, 1)
        here = NodeAffinitySchedulingStrategy(str(node["NodeID"]), soft=False)
        actor = ray.remote(Machine).options(num_cpus=0, num_gpus=each, scheduling_strategy=here, max_restarts=0)
        return [actor.remote(self.opens, self.watch) for _ in range(count)]

    def _taken(self) -> Handle:
        with self._changed:
            self._changed.wait_for(lambda: self._free or not self._alive or self._closed)
            if not self._free or self._closed:
                raise WorkerLost("no machine of the cluster is left")
            return self._free.pop(0)

    def _returned(self, handle: Handle, alive: bool) -> None:
        with self._changed:
            if alive:
                self._free.append(handle)
            else:
                self._alive -= 1
                ray.kill(handle)
            self._changed.notify_all()


def connect(address: str | None = None) -> None:
    """Connects to the cluster at `address`, $RAY_ADDRESS, or the one on this machine, else starts one here."""
    if not ray.is_initialized():
        ray.init(address=address or os.environ.get("RAY_ADDRESS"), include_dashboard=False, log_to_driver=False)


def _compile(job: Job, source: KernelSource) -> Built | Failure:
    # Ray shows GPUs to tasks that asked for none.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    try:
        return compiled(job, source)
    except AttnccError as error:
        return Failure("compile_error", str(error))


def _told(reference: ray.ObjectRef, seconds: float) -> object:
    """What a task or actor returned; raises WorkerLost if its node or process is gone."""
    try:
        return ray.get(reference, timeout=seconds)
    except ray.exceptions.GetTimeoutError as error:
        raise WorkerLost(f"a machine of the cluster was silent for {seconds:.0f} seconds") from error
    except ray.exceptions.RayError as error:
        raise WorkerLost(f"a machine of the cluster was lost: {str(error).splitlines()[0]}") from error
