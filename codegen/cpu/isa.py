"""Which instruction sets the C backend writes for, with the flags, vector lengths and register tiles of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attncc.ir.schedule import DType

AVX2 = ("-mavx2", "-mfma", "-mf16c")
AVX512 = (*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl")
AVX512_BF16 = (*AVX512, "-mavx512bf16")
AMX = (*AVX512_BF16, "-mamx-tile", "-mamx-bf16")


@dataclass(frozen=True, slots=True)
class InstructionSet:
    """`sums` vectors accumulate in registers at a time, `columns` of them side by side; `part` is the file in `parts`
    that holds the vector operations, `macro` what the compiler defines when it may use them. `pairs` says that it
    multiplies pairs of bfloat16, `tiles` that it multiplies whole tiles of them (AMX)."""

    flags: tuple[str, ...]
    lanes: int
    sums: int
    columns: int
    part: str
    macro: str | None
    pairs: bool = False
    tiles: bool = False

    def multiplies_pairs(self, dtype: DType) -> bool:
        """Whether two elements of the type are multiplied and added at once."""
        return dtype == "bfloat16" and self.pairs


SETS: Mapping[str, InstructionSet] = {
    "avx512_bf16+amx": InstructionSet(AMX, 16, 24, 4, "avx512", "__AMX_BF16__", pairs=True, tiles=True),
    "avx512_bf16": InstructionSet(AVX512_BF16, 16, 24, 4, "avx512", "__AVX512BF16__", pairs=True),
    "avx512": InstructionSet(AVX512, 16, 24, 4, "avx512", "__AVX512DQ__"),
    "avx2": InstructionSet(AVX2, 8, 12, 2, "avx2", "__AVX2__"),
    "portable": InstructionSet((), 4, 12, 4, "portable", None),
}
