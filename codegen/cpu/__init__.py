"""The C backend: kernels for the processor, compiled by the system's C compiler."""

from __future__ import annotations

from attncc.codegen.cpu.build import build
from attncc.codegen.cpu.emit import emit
from attncc.codegen.cpu.knobs import phase, space, tiling
from attncc.codegen.cpu.toolchain import toolchain

__all__ = ["build", "emit", "phase", "space", "tiling", "toolchain"]
