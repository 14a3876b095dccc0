"""The built-in schedules: for each architecture, those that cross-compile without spills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from attncc.codegen.kernel import Phase
from attncc.codegen.triton.emit import head_block
from attncc.ir.schedule import BYTES, KnobValue, Operands

#: BLOCK_M, BLOCK_N, num_warps, num_stages, loads; by the head_dim, as a power of two, up to which it serves.
Choices: TypeAlias = Mapping[int, tuple[int, int, int, int, str]]

HOPPER: Choices = {128: (128, 64, 8, 3, "descriptor"), 256: (64, 64, 8, 2, "descriptor")}
AMPERE: Choices = {64: (128, 64, 8, 3, "pointer"), 128: (128, 32, 8, 3, "pointer"), 256: (64, 32, 8, 2, "pointer")}
CONSUMER: Choices = {128: (128, 64, 8, 2, "descriptor"), 256: (64, 32, 8, 2, "descriptor")}
CDNA: Choices = {128: (128, 64, 4, 2, "pointer"), 256: (64, 32, 4, 2, "pointer")}

#: float32 has no tensor cores of its precision on NVIDIA: each thread multiplies, and holds few rows.
FLOAT: Choices = {64: (64, 32, 8, 2, "pointer"), 256: (32, 16, 8, 2, "pointer")}
FLOAT_CDNA: Choices = {128: (64, 32, 4, 2, "pointer"), 256: (32, 16, 4, 2, "pointer")}

DECODE: Choices = {128: (16, 64, 4, 2, "pointer"), 256: (16, 32, 4, 2, "pointer")}
DECODE_DESCRIPTORS: Choices = {128: (16, 64, 4, 3, "descriptor"), 256: (16, 32, 4, 2, "descriptor")}
DECODE_CDNA: Choices = {128: (16, 64, 4, 2, "pointer"), 256: (16, 32, 4, 2, "pointer")}
DECODE_FLOAT: Choices = {64: (16, 32, 4, 2, "pointer"), 256: (16, 16, 8, 2, "pointer")}

#: A decode with keys that lists gather, which takes more registers: more warps share them.
GATHERED: Choices = {**DECODE, 128: (16, 64, 8, 2, "pointer")}
GATHERED_DESCRIPTORS: Choices = {64: DECODE_DESCRIPTORS[128], **DECODE_DESCRIPTORS, 128: (16, 64, 8, 2, "descriptor")}

#: Prefill, decode, and decode with gathered keys for elements of two bytes; an architecture that is not named is taken
#: for the oldest.
HALF: Mapping[str, tuple[Choices, Choices, Choices]] = {
    "sm_80": (AMPERE, DECODE, GATHERED),
    "sm_90": (HOPPER, DECODE_DESCRIPTORS, GATHERED_DESCRIPTORS),
    "sm_100": (HOPPER, DECODE_DESCRIPTORS, GATHERED_DESCRIPTORS),
    "sm_120": (CONSUMER, DECODE_DESCRIPTORS, GATHERED_DESCRIPTORS),
    "gfx942": (CDNA, DECODE_CDNA, DECODE_CDNA),
}
OLDEST = "sm_80"


#: Architectures that load a whole tile by one instruction.
DESCRIPTOR_ARCHES = ("sm_90", "sm_100", "sm_120")


def default(operands: Operands, phase: Phase, arch: str, gathered: bool = False) -> Mapping[str, KnobValue]:
    """A choice for every knob; `gathered` says whether keys come from lists."""
    prefill, decode, lists = _float(arch) if operands.dtype == "float32" else HALF.get(arch, HALF[OLDEST])
    choices = prefill if phase == "prefill" else lists if gathered else decode
    *sizes, loads = next(choice for most, choice in choices.items() if head_block(operands.head_dim) <= most)
    names = ("BLOCK_M", "BLOCK_N", "num_warps", "num_stages")
    return {**dict(zip(names, sizes, strict=True)), "loads": loads if describable(operands, arch) else "pointer"}


def fitted(chosen: Mapping[str, KnobValue], phase: Phase, heights: Sequence[int]) -> Mapping[str, KnobValue]:
    """The choice for tiles that can only be so high: single positions in a decode, else the highest that is no higher
    than the chosen one."""
    block_m = chosen["BLOCK_M"]
    assert isinstance(block_m, int), "BLOCK_M is a number"
    height = heights[0] if phase == "decode" else max((side for side in heights if side <= block_m), default=heights[0])
    return {**chosen, "BLOCK_M": height}


def describable(operands: Operands, arch: str) -> bool:
    """Whether tile loads exist there, and a row of a key is a multiple of 16 bytes. For float32, whose products are not
    made from shared memory, they only cost registers."""
    whole = operands.head_dim * BYTES[operands.dtype] % 16 == 0
    return whole and operands.dtype != "float32" and arch in DESCRIPTOR_ARCHES


def _float(arch: str) -> tuple[Choices, Choices, Choices]:
    return (FLOAT_CDNA if arch.startswith("gfx") else FLOAT), DECODE_FLOAT, DECODE_FLOAT
