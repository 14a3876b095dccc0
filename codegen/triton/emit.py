"""Writes the Triton module for one plan and schedule: header, constants, small functions, one kernel."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attncc.codegen.header import header_lines
from attncc.codegen.kernel import KernelSource, Phase
from attncc.codegen.triton.exprs import NUMBERS, TILES, TritonPrinter
from attncc.codegen.triton.functions import FUNCTIONS
from attncc.codegen.triton.loops import TileText
from attncc.codegen.triton.program import program
from attncc.ir.schedule import Operands, Schedule
from attncc.ir.tile import TilePlan

LAYOUT = """\
query and out are [batch, q_heads, q_len, HEAD_DIM], key and value [batch, kv_heads, kv_len, HEAD_DIM], of any strides
with a contiguous last dimension; lse is float32 [batch, q_heads, q_len], contiguous, in natural logarithms.
The grid is (query tiles, q_heads, batch). Query tiles are aligned to absolute positions, which end at kv_len;
there are (kv_len - 1) // BLOCK_M - floor((kv_len - q_len) / BLOCK_M) + 1 of them, and program 0 has the last.
"""


def emit(plan: TilePlan, operands: Operands, phase: Phase, schedule: Schedule) -> KernelSource:
    """The module as text. It holds one kernel, named `<pattern>_forward`, and the functions that it calls."""
    entry = f"{plan.pattern.name}_forward"
    constants = _constants(plan, operands)
    kernel = program(plan, _tile_text(plan, operands, schedule), entry)
    functions = [text for name, text in FUNCTIONS.items() if f"{name}(" in kernel]
    code = "\n\n".join([*functions, kernel])
    used = set(re.findall(r"[A-Z]\w+", code))
    lines = [f"{name} = tl.constexpr({value})" for name, value in constants.items() if name in used]
    header = "\n".join(header_lines(plan, operands, phase, schedule, "triton", LAYOUT.splitlines()))
    preamble = "\n".join([f'"""{header}', '"""', "", "import triton", "import triton.language as tl", "", *lines])
    return KernelSource("triton", plan.pattern.name, operands, phase, schedule, entry, f"{preamble}\n\n\n{code}")


def head_block(head_dim: int) -> int:
    """head_dim rounded up to a power of two, the only sides that tiles have in Triton."""
    return max(16, 1 << (head_dim - 1).bit_length())


def _tile_text(plan: TilePlan, operands: Operands, schedule: Schedule) -> TileText:
    params = dict(plan.pattern.params)

    def name(word: str) -> str:
        return _constant(word) if word in params else word

    return TileText(
        numbers=TritonPrinter(NUMBERS, name, params),
        tiles=TritonPrinter(TILES, name, params),
        rules=plan.pattern.score,
        descriptors=schedule["loads"] == "descriptor",
        padded=head_block(operands.head_dim) != operands.head_dim,
        precision=', input_precision="ieee"' if operands.dtype == "float32" else "",
        block_n=plan.tiling.block_n,
    )


def _constants(plan: TilePlan, operands: Operands) -> Mapping[str, int | float]:
    return {
        **{_constant(name): value for name, value in plan.pattern.params},
        "HEAD_DIM": operands.head_dim,
        "HEAD_BLOCK": head_block(operands.head_dim),
        "BLOCK_M": plan.tiling.block_m,
        "BLOCK_N": plan.tiling.block_n,
        "LOG2E": 1.4426950408889634,
        "LN2": 0.6931471805599453,
    }


def _constant(param: str) -> str:
    """The constant of a parameter; a parameter may have the name of one of ours."""
    name = param.upper()
    return f"{name}_PARAM" if name in ("HEAD_DIM", "HEAD_BLOCK", "BLOCK_M", "BLOCK_N", "LOG2E", "LN2") else name
