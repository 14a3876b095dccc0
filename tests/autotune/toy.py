"""A backend whose kernels are PyTorch calls that can be told to misbehave; the worker process imports it by name."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch

from attncc.autotune.alarm import limited
from attncc.codegen.kernel import KernelSource, Phase
from attncc.device import DeviceModel
from attncc.errors import AttnccError
from attncc.ir.schedule import Knob, KnobValue, Operands, Schedule, SearchSpace, Shape
from attncc.ir.tile import TilePlan, Tiling
from attncc.ref.dense import attention

WRITER: Final = __name__
#: Milliseconds of work per call; the default is the slowest.
MILLIS: Final[dict[KnobValue, float]] = {16: 6.0, 32: 4.0, 64: 2.0, 128: 3.0}
#: A late fault shows after so many calls: the kernel has been verified, and is being timed.
LATE: Final = 4


class ToyCompilationFailed(AttnccError):
    """The toy compiler refuses."""


def phase(shape: Shape, grain: int | None = None) -> Phase:
    return "prefill"


def space(operands: Operands, phase: Phase, device: DeviceModel, grain: int | None = None) -> SearchSpace:
    return SearchSpace(
        (Knob("tile", tuple(MILLIS), 16), Knob("fault", faults(), "none")),
        lambda schedule: "one fault, one size" if schedule["fault"] != "none" and schedule["tile"] != 16 else None,
    )


def faults() -> tuple[str, ...]:
    """The faults of this test, named by the environment, which the worker inherits."""
    return ("none", *filter(None, os.environ.get("ATTNCC_TOY_FAULTS", "").split(",")))


def tiling(phase: Phase, schedule: Schedule) -> Tiling:
    return Tiling(schedule.number("tile"), 1)


def emit(plan: TilePlan, operands: Operands, phase: Phase, schedule: Schedule) -> KernelSource:
    return KernelSource("toy", plan.pattern.name, operands, phase, schedule, "toy", f"{plan.pattern!r}\n{schedule}\n")


def toolchain(device: DeviceModel) -> str:
    return "toy 1"


def build(source: KernelSource, device: DeviceModel) -> ToyKernel:
    match source.schedule["fault"]:
        case "broken":
            raise ToyCompilationFailed("line 1: this does not compile")
        case "compiler_segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "compiler_hang":
            time.sleep(1e6)
        case "compiler_memory":
            raise MemoryError
    return ToyKernel(source)


@dataclass(frozen=True, slots=True)
class ToyKernel:
    """Causal attention by the dense reference; what it does besides is in its schedule."""

    source: KernelSource
    calls: list[int] = field(default_factory=list)

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        from tests.autotune.samples import CAUSAL

        start = time.thread_time()
        out, lse = attention(CAUSAL, query, key, value, scale)
        while time.thread_time() - start < MILLIS[self.source.schedule["tile"]] / 1e3:
            pass
        self.calls.append(0)
        match self.source.schedule["fault"]:
            case "illegal_address":
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
            case "late_segfault" if len(self.calls) > LATE:
                os.kill(os.getpid(), signal.SIGSEGV)
            case "late_memory" if len(self.calls) > LATE:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            case "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "abort":
                print("toy: corrupted stack", flush=True)
                os.abort()
            case "hang":
                if "ATTNCC_TOY_HUNG" in os.environ:
                    Path(os.environ["ATTNCC_TOY_HUNG"]).write_text(str(os.getpid()))
                time.sleep(1e6)
            case "alarm":
                with limited("cuda", seconds=0.2):
                    time.sleep(1e6)
            case "wrong":
                out[-1, -1, -1] += 1e-2
            case "unsteady":
                # By less than anybody would call wrong.
                out = torch.where(out == out.max(), out * (1 + 1.5e-7 * (len(self.calls) % 2)), out)
            case "nan":
                out[0, 0, 1] = torch.nan
            case "memory":
                raise MemoryError
            case "unequal_lse":
                lse += 0.1
        return out.to(query.dtype), lse.float()
