"""Compiles modules that attend by the operators of this package ahead of time, with AOTInductor, for any lengths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands

#: Batch, query and KV heads, queries and keys of the call that is traced; none of them stays. No two are alike, so that
#: none is taken for another.
TRACED = (2, 12, 3, 80, 336)

#: The compiled part calls one operator, so there is nothing that optimizing it could gain.
OPTIONS = {"aot_inductor.compile_wrapper_opt_level": "O0"}


class Attend(nn.Module):
    """(out, lse) of query, key, value and the inputs of the pattern, in the order of its file."""

    def __init__(self, operator: torch._ops.OpOverload, inputs: Sequence[str]) -> None:
        super().__init__()
        self.operator, self.inputs = operator, tuple(inputs)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        out, lse = self.operator(query, key, value, **dict(zip(self.inputs, inputs, strict=True)))
        return out, lse


def compile_ahead(
    operator: torch._ops.OpOverload,
    pattern: Pattern,
    operands: Operands,
    device: str,
    path: Path,
    inputs: Sequence[Tensor] = (),
) -> None:
    """Writes the package `path` (.pt2) for calls on `device` with these operands; batch, heads and lengths are left
    open. `inputs` are examples of those of the pattern, for TRACED, whose sizes are left open likewise.

    Python that loads it with `torch._inductor.aoti_load_package` must have imported this package.
    """
    batch, q_heads, kv_heads, q_len, kv_len = TRACED
    dtype = getattr(torch, operands.dtype)
    sizes = [(batch, q_heads, q_len, operands.head_dim), *[(batch, kv_heads, kv_len, operands.head_dim)] * 2]
    call = (*(torch.zeros(size, dtype=dtype, device=device) for size in sizes), *inputs)
    opened = {0: Dim.AUTO, 1: Dim.AUTO, 2: Dim.AUTO}
    rest = tuple(dict.fromkeys(range(one.dim()), Dim.AUTO) for one in inputs)
    module = Attend(operator, [one.name for one in pattern.inputs])
    program = torch.export.export(module, call, dynamic_shapes=(opened, opened, opened, *([rest] if rest else [])))
    torch._inductor.aoti_compile_and_package(program, package_path=str(path), inductor_configs=OPTIONS)
