"""What a backend folder offers, and how the folders are found."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Protocol, cast

import attncc.codegen
from attncc.codegen.kernel import CompiledKernel, KernelSource, Phase
from attncc.device import DeviceModel
from attncc.ir.schedule import Operands, Schedule, SearchSpace, Shape
from attncc.ir.tile import TilePlan, Tiling


class Backend(Protocol):
    """The public functions of `codegen/<name>/__init__.py`."""

    def phase(self, shape: Shape, grain: int | None = None) -> Phase:
        """Which kind of kernel serves calls of this shape, for a pattern of this `grain` (see `Pattern.grain`)."""
        ...

    def space(self, operands: Operands, phase: Phase, device: DeviceModel, grain: int | None = None) -> SearchSpace:
        """All schedules worth a trial; its default is the built-in schedule. Tiles hold a divisor of `grain` rows."""
        ...

    def tiling(self, phase: Phase, schedule: Schedule) -> Tiling:
        """The tiles that `emit` expects its plan to be made for."""
        ...

    def emit(self, plan: TilePlan, operands: Operands, phase: Phase, schedule: Schedule) -> KernelSource:
        """The source for one schedule. Needs no device, no torch and no triton."""
        ...

    def build(self, source: KernelSource, device: DeviceModel) -> CompiledKernel:
        """Compiles and loads; raises `CompilationFailed` with the compiler's words."""
        ...

    def toolchain(self, device: DeviceModel) -> str:
        """What the code is built with, as far as it can change the code: compiler and version, target, flags."""
        ...


@cache
def backends() -> Mapping[str, Backend]:
    """Every folder of `codegen`, by name."""
    folders = sorted(found.name for found in pkgutil.iter_modules(attncc.codegen.__path__) if found.ispkg)
    return {name: cast(Backend, importlib.import_module(f"attncc.codegen.{name}")) for name in folders}
