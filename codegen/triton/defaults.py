"""The built-in schedules: for each architecture, those that cross-compile without spills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from attncc.codegen.kernel import Phase
from attncc.codegen.triton.emit import head_block
from attncc.ir.schedule import BYTES, KnobValue, Operands

#: BLOCK_M, BLOCK_N, num_warps, num_stages, loads.
Choice: TypeAlias = tuple[int, int, int, int, str]

#: By the bytes of a key row, head_dim taken as a power of two: each choice serves rows of up to so many.
PREFILL: Mapping[str, Mapping[int, Choice]] = {
    "sm_90": {
        256: (128, 64, 8, 3, "descriptor"),
        512: (64, 64, 8, 2, "descriptor"),
        1024: (64, 32, 8, 2, "descriptor"),
    },
    "sm_80": {
        128: (128, 64, 8, 2, "pointer"),
        256: (64, 64, 4, 2, "pointer"),
        512: (64, 32, 8, 2, "pointer"),
        1024: (32, 16, 4, 2, "pointer"),
    },
}
DECODE: Mapping[str, Mapping[int, Choice]] = {
    "sm_90": {256: (16, 64, 4, 3, "descriptor"), 512: (16, 32, 4, 3, "descriptor"), 1024: (16, 32, 4, 2, "descriptor")},
    "sm_80": {256: (16, 64, 4, 3, "pointer"), 512: (16, 32, 4, 2, "pointer"), 1024: (16, 16, 4, 2, "pointer")},
}

#: What an architecture without an entry of its own is like.
LIKE: Mapping[str, str] = {"sm_100": "sm_90"}
OTHER = "sm_80"


def default(operands: Operands, phase: Phase, arch: str) -> Mapping[str, KnobValue]:
    """A choice for every knob."""
    table = PREFILL if phase == "prefill" else DECODE
    rows = table.get(LIKE.get(arch, arch), table[OTHER])
    width = head_block(operands.head_dim) * BYTES[operands.dtype]
    choice = next(choice for most, choice in rows.items() if width <= most)
    return dict(zip(("BLOCK_M", "BLOCK_N", "num_warps", "num_stages", "loads"), choice, strict=True))
