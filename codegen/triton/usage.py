"""What one program of a compiled kernel uses, read from what the compilers say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from triton.compiler import CompiledKernel

#: What to look for in PTX and in AMD assembly.
INSTRUCTIONS: Mapping[str, str] = {
    "wgmma": r"\bwgmma\.mma_async",
    "tcgen05": r"\btcgen05\.mma",
    "mma": r"(?<!wg)\bmma\.sync",
    "tma": r"\bcp\.async\.bulk\.tensor",
    "cp.async": r"\bcp\.async\.c[ag]\.",
    "mfma": r"\bv_mfma_",
}


@dataclass(frozen=True, slots=True)
class Resources:
    """What one program uses. `spill_bytes` are stores to spilled registers (NVIDIA) or scratch (AMD); `instructions`
    counts those of INSTRUCTIONS that occur; `assembly` is PTX or AMD assembly.

    Few registers are no good sign by themselves: an assembler that gives up says 32 and spills kilobytes.
    """

    registers: int
    spill_bytes: int
    shared_bytes: int
    instructions: Mapping[str, int]
    assembly: str


def read_nvidia(kernel: CompiledKernel, log: str) -> Resources:
    """From a kernel and what `ptxas -v` printed while it was compiled."""
    registers = re.search(r"Used (\d+) registers", log)
    spills = re.search(r"(\d+) bytes spill stores", log)
    assert registers is not None, "ptxas -v tells the registers"
    ptx = kernel.asm["ptx"]
    spill_bytes = int(spills[1]) if spills else 0
    return Resources(int(registers[1]), spill_bytes, kernel.metadata.shared, _instructions(ptx), ptx)


def read_amd(kernel: CompiledKernel) -> Resources:
    """From the notes at the end of the assembly."""
    text = kernel.asm["amdgcn"]
    scratch = _field(text, "private_segment_fixed_size")
    return Resources(_field(text, "vgpr_count"), scratch, kernel.metadata.shared, _instructions(text), text)


def _field(text: str, name: str) -> int:
    found = re.search(rf"\.{name}:?\s+(\d+)", text)
    assert found is not None, f"AMD assembly tells {name}"
    return int(found[1])


def _instructions(text: str) -> Mapping[str, int]:
    counts = {name: len(re.findall(pattern, text)) for name, pattern in INSTRUCTIONS.items()}
    return {name: count for name, count in counts.items() if count}
