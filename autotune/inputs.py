"""What are kernels tried on? Normal random numbers, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from attncc.device import DeviceKind
from attncc.ir.schedule import DType, Shape


@dataclass(frozen=True, slots=True)
class Inputs:
    """query [batch, q_heads, q_len, head_dim], key and value [batch, kv_heads, kv_len, head_dim], and the scale."""

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    scale: float


def random_inputs(shape: Shape, dtype: DType, kind: DeviceKind, seed: int = 0) -> Inputs:
    """Independent N(0, 1) entries; zeros or constants would cost a machine less power and hide mistakes."""
    generator = torch.Generator().manual_seed(seed)

    def normal(heads: int, length: int) -> torch.Tensor:
        entries = torch.randn(shape.batch, heads, length, shape.head_dim, generator=generator)
        return entries.to(getattr(torch, dtype)).to("cpu" if kind == "cpu" else "cuda")

    query = normal(shape.q_heads, shape.q_len)
    key, value = normal(shape.kv_heads, shape.kv_len), normal(shape.kv_heads, shape.kv_len)
    return Inputs(query, key, value, shape.head_dim**-0.5)
