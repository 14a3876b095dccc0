"""A backend whose kernels were timed before: its answers are those of a recorded landscape, on any machine."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from attncc.autotune.job import Job
from attncc.autotune.request import Answer, Prepare, Request, Sample
from attncc.autotune.watched import Trouble
from attncc.codegen.kernel import KernelSource, Phase
from attncc.device import DeviceModel
from attncc.ir.schedule import Operands, Schedule, SearchSpace, Shape
from attncc.ir.tile import TilePlan, Tiling
from attncc.library.entry import Failure
from tests.autotune.landscapes import recorded
from tests.autotune.samples import CAUSAL, DEVICE, SHAPE

WRITER: Final = __name__
LANDSCAPE: Final = recorded(Path(__file__).parent / "recorded" / "causal_float32.json")
JOB: Final = Job(CAUSAL, Operands("float32", 16), SHAPE, DEVICE, WRITER)


def phase(shape: Shape, grain: int | None = None) -> Phase:
    return "prefill"


def space(operands: Operands, phase: Phase, device: DeviceModel, grain: int | None = None) -> SearchSpace:
    return LANDSCAPE.space


def tiling(phase: Phase, schedule: Schedule) -> Tiling:
    return Tiling(64, 1)


def emit(plan: TilePlan, operands: Operands, phase: Phase, schedule: Schedule) -> KernelSource:
    return KernelSource("replayed", plan.pattern.name, operands, phase, schedule, "replayed", str(schedule))


def toolchain(device: DeviceModel) -> str:
    return "replayed 1"


@dataclass
class Replayed:
    """Answers after `seconds`; writes the schedules it was asked to time, and its own number, to `log`."""

    job: Job
    log: Path
    seconds: float
    generation: int = 0

    def rest(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def ask(self, request: Request, seconds: float) -> Answer:
        match request:
            case Prepare(source):
                failed = LANDSCAPE.micros(source.schedule) is None
                return Failure("crash", "as recorded") if failed else None
            case Sample(schedule):
                time.sleep(self.seconds)
                with self.log.open("a", encoding="utf-8") as log:
                    log.write(f"{self.job.shape.q_len}: {schedule}\n")
                return LANDSCAPE.micros(schedule)
            case _:
                raise AssertionError(f"{request} is for hardware that is absent")


@dataclass(frozen=True)
class Slowed:
    """Watches a device that slows down for one sample in `every`; travels to other machines."""

    every: int

    def __call__(self, device: DeviceModel) -> Trouble:
        number = itertools.count(1)
        return lambda: () if next(number) % self.every else ("hardware thermal slowdown",)


@dataclass(frozen=True)
class Opens:
    """Opens a Replayed for a job; travels to other machines."""

    log: Path
    seconds: float

    def __call__(self, job: Job) -> Replayed:
        return Replayed(job, self.log, self.seconds)
