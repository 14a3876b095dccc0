"""The Triton backend: kernels for NVIDIA and AMD GPUs."""

from __future__ import annotations

from attncc.codegen.kernel import CompiledKernel, KernelSource, Phase
from attncc.codegen.triton.emit import emit as emit_triton
from attncc.codegen.triton.knobs import LOWERINGS, lowering, space, tiling
from attncc.codegen.triton.phases import phase
from attncc.codegen.triton.specialized import mergeable
from attncc.codegen.triton.toolchain import toolchain
from attncc.device import DeviceModel
from attncc.ir.schedule import Operands, Schedule
from attncc.ir.tile import TilePlan

__all__ = ["build", "emit", "phase", "space", "tiling", "toolchain"]


def emit(plan: TilePlan, operands: Operands, phase: Phase, schedule: Schedule) -> KernelSource:
    """The source for one schedule. A plan that has no Gluon kernel, or whose runs are not one loop, gets the kernel of
    Triton's own that has the same other knobs."""
    if schedule.switch("warp_specialize") and not mergeable(plan):
        schedule = schedule.replace("warp_specialize", 0)
    if lowering(schedule) == LOWERINGS[0]:
        return emit_triton(plan, operands, phase, schedule)
    # The level below prints with the words of this one.
    from attncc.codegen.triton.gluon import emit as emit_gluon
    from attncc.codegen.triton.gluon.segments import unfit

    if unfit(plan) is None:
        return emit_gluon(plan, operands, phase, schedule)
    return emit_triton(plan, operands, phase, schedule.replace("lowering", LOWERINGS[0]))


def build(source: KernelSource, device: DeviceModel) -> CompiledKernel:
    """The kernel for the GPU of this machine, which `device` describes.

    Raises NoGpu, and CompilationFailed or NotCompilable.
    """
    # Only here are PyTorch and Triton needed.
    if source.backend == "gluon":
        from attncc.codegen.triton.gluon.build import build as lowered

        return lowered(source, device)
    from attncc.codegen.triton.build import build as compiled

    return compiled(source, device)
