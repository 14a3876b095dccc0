"""The Gluon backend: warp-specialised kernels for Hopper, one level below Triton."""

from __future__ import annotations

from attncc.codegen.kernel import CompiledKernel, KernelSource
from attncc.codegen.triton.gluon.emit import emit
from attncc.codegen.triton.gluon.knobs import space
from attncc.codegen.triton.knobs import tiling
from attncc.codegen.triton.phases import phase
from attncc.codegen.triton.toolchain import toolchain
from attncc.device import DeviceModel

__all__ = ["build", "emit", "phase", "space", "tiling", "toolchain"]


def build(source: KernelSource, device: DeviceModel) -> CompiledKernel:
    """The kernel for the GPU of this machine, which `device` describes.

    Raises NoGpu, and CompilationFailed or NotCompilable.
    """
    # Only here are PyTorch and Triton needed.
    from attncc.codegen.triton.gluon.build import build as compiled

    return compiled(source, device)
