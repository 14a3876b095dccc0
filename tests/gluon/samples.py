"""What the tests of the Gluon backend share: sources by formula, and what a simulated kernel must answer."""

from __future__ import annotations

import torch

from attncc import passes
from attncc.codegen.kernel import KernelSource
from attncc.codegen.triton import gluon
from attncc.codegen.triton.gluon.simulator import simulate
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DType, Operands, Schedule, Shape
from attncc.ir.tile import Tiling
from attncc.ref import dense


def schedule(block_m: int, block_n: int, stages: int = 2, lowering: str = "gluon") -> Schedule:
    warps = block_m // 16
    return Schedule(
        (
            ("BLOCK_M", block_m),
            ("BLOCK_N", block_n),
            ("num_warps", warps),
            ("num_stages", stages),
            ("loads", "descriptor"),
            ("lowering", lowering),
        )
    )


def source(pattern: Pattern, chosen: Schedule, dtype: DType = "bfloat16", head_dim: int = 64) -> KernelSource:
    plan = passes.run(pattern, Tiling(chosen.number("BLOCK_M"), chosen.number("BLOCK_N")))
    return gluon.emit(plan, Operands(dtype, head_dim), "prefill", chosen)


def errors(pattern: Pattern, made: KernelSource, shape: Shape, seed: int = 0) -> tuple[float, float]:
    """The relative error norm of out and the largest error of lse, against float64, of a simulated call."""
    chance = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, made.operands.dtype)

    def normal(heads: int, length: int) -> torch.Tensor:
        return torch.randn(shape.batch, heads, length, shape.head_dim, generator=chance).to(dtype)

    query, key, value = normal(shape.q_heads, shape.q_len), *(normal(shape.kv_heads, shape.kv_len) for _ in range(2))
    scale = shape.head_dim**-0.5
    out, lse = simulate(made, query, key, value, scale, seed=seed)
    expected, expected_lse = dense.attention_rows(pattern, query, key, value, scale, torch.arange(shape.q_len))
    assert torch.equal(lse.isneginf(), expected_lse.isneginf())
    seen = ~expected_lse.isneginf()
    return float((out - expected).norm() / expected.norm()), float((lse - expected_lse)[seen].abs().max())
