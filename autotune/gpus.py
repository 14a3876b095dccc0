"""What can one SM (or compute unit) do in a clock cycle, and how much does it hold? From the makers' data sheets.

Matrix rates are the dense 16-bit peak with float32 accumulation of one model of the architecture (A100 SXM, L40S, H100
SXM, B200, RTX 5090, MI300X), over its units and its boost clock, rounded to the power of two that it must be.
Capacities are those of the CUDA C++ Programming Guide, technical specifications per compute capability, and of the
CDNA 3 guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Unit:
    """Rates per cycle: floating-point operations of 16-bit and of float32 products, exponentials, other float32
    operations. Capacities: KiB of shared memory, 32-bit registers, warps of `lanes` threads."""

    matrix_flops: int
    float32_flops: int
    exponentials: int
    operations: int
    shared_kib: int
    registers: int
    warps: int
    lanes: int
    gigahertz: float


UNITS: Final[Mapping[str, Unit]] = {
    "sm_80": Unit(2048, 128, 16, 64, 164, 65536, 64, 32, 1.41),
    "sm_89": Unit(1024, 256, 16, 128, 100, 65536, 48, 32, 2.52),
    "sm_90": Unit(4096, 256, 16, 128, 228, 65536, 64, 32, 1.83),
    "sm_100": Unit(8192, 256, 16, 128, 228, 65536, 64, 32, 1.85),
    "sm_120": Unit(512, 256, 16, 128, 100, 65536, 48, 32, 2.41),
    "gfx942": Unit(2048, 256, 32, 128, 64, 131072, 32, 64, 2.1),
}
