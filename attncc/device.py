"""Hardware models: the machine in front of us, and named GPUs that need not be present."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

DeviceKind: TypeAlias = Literal["cpu", "cuda", "hip"]


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """What kernels are generated and tuned for: what the hardware is, not what it is called.

    `arch` is the instruction set: "avx512_bf16+amx", "avx512_bf16", "avx512", "avx2", "portable" for a CPU; "sm_90", "gfx942" for a GPU.
    `units` are cores or SMs. `name` is for people (folder names under reports/, tables).
    """

    kind: DeviceKind
    name: str
    arch: str
    units: int
    present: bool

    @property
    def hardware(self) -> str:
        """The key of tuned results: kind, arch, units."""
        return f"{self.kind}-{self.arch}-{self.units}"
