"""From the sizes of a call to the kernel of this package that serves it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from attncc.codegen.cpu import knobs as cpu
from attncc.codegen.kernel import CompiledKernel, KernelSource, Phase
from attncc.codegen.triton import phases as triton
from attncc.device import DeviceKind, DeviceModel
from attncc.errors import NotInPackage
from attncc.export.runtime.held import KERNELS, Held, listing, operands_of, serving
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands, Shape
from attncc.library.key import shape_class

#: The backend whose kernels run on each kind of device.
BACKEND: Mapping[DeviceKind, str] = {"cpu": "cpu", "cuda": "triton", "hip": "triton"}

_building = threading.RLock()


class PhaseOf(Protocol):
    """Which kind of kernel serves calls of this shape, for a pattern of this `grain` (see `Pattern.grain`)."""

    def __call__(self, shape: Shape, grain: int | None = None) -> Phase: ...


@dataclass(frozen=True, slots=True)
class Runner:
    """What is left of a backend whose kernels are written."""

    phase: PhaseOf


RUNNERS: Mapping[str, Runner] = {"cpu": Runner(cpu.phase), "triton": Runner(triton.phase)}


def backend_of(device: DeviceModel) -> Runner:
    """The backend whose kernels run on `device`."""
    return RUNNERS[BACKEND[device.kind]]


def kernel(pattern: Pattern, operands: Operands, shape: Shape, device: DeviceModel) -> CompiledKernel:
    """The kernel for calls like `shape`, compiled at the first request. Raises NotInPackage, NoCompiler,
    CompilationFailed."""
    with _building:
        return _built(found(pattern, operands, shape, device), device)


def found(pattern: Pattern, operands: Operands, shape: Shape, device: DeviceModel) -> Held:
    """The kernel that serves such calls. Raises NotInPackage."""
    backend = BACKEND[device.kind]
    mine = [one for one in listing() if one.pattern == pattern.name and one.backend == backend]
    phase = backend_of(device).phase(shape, pattern.grain())
    fitting = [
        one for one in mine if one.phase == phase and (one.dtype, one.head_dim) == (operands.dtype, operands.head_dim)
    ]
    chosen = serving(fitting, device, shape.group, shape_class(shape))
    if chosen is None:
        known = [f"{one.dtype} with head_dim {one.head_dim}" for one in operands_of(mine)]
        raise NotInPackage(pattern.name, f"{operands.dtype} with head_dim {operands.head_dim}", device.arch, known)
    return chosen


def when_forgotten(tell: Callable[[], None]) -> None:
    """The kernels of a package do not change: nobody is ever told."""


@cache
def _built(held: Held, device: DeviceModel) -> CompiledKernel:
    return _build(held.source(KERNELS), device)


def _build(source: KernelSource, device: DeviceModel) -> CompiledKernel:
    # Each backend needs its own compiler, which need not be there.
    if device.kind == "cpu":
        from attncc.codegen.cpu.build import build as compiled

        return compiled(source, device)
    from attncc.codegen.triton.build import build as jitted

    return jitted(source, device)
