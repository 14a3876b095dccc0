"""Small tensors for calls, and what they are compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from attncc.ir.pattern import Pattern
from attncc.ref import dense

Call = tuple[Tensor, Tensor, Tensor]


def call(
    *, batch: int = 1, q_heads: int = 4, kv_heads: int = 2, q_len: int = 33, kv_len: int = 33, head_dim: int = 16
) -> Call:
    """query, key and value: normal, float32, the same each time."""
    draws = torch.Generator().manual_seed(0)
    query = torch.randn(batch, q_heads, q_len, head_dim, generator=draws)
    key = torch.randn(batch, kv_heads, kv_len, head_dim, generator=draws)
    return query, key, torch.randn(key.shape, generator=draws)


def leaves(tensors: Call) -> Call:
    """The same numbers, as tensors that want gradients."""
    query, key, value = (tensor.detach().clone().requires_grad_() for tensor in tensors)
    return query, key, value


def distance(actual: Tensor, exact: Tensor) -> float:
    """The largest difference; equal infinities differ by 0."""
    left, right = actual.detach().double(), exact.detach().double()
    return float((left - right).abs().masked_fill(left == right, 0).max())


def plain(pattern: Pattern, tensors: Call) -> tuple[Tensor, Tensor]:
    """(out, lse) in the tensors' own dtype, everything rounded to it: what kernels are measured against."""
    query, key, value = tensors
    rows = torch.arange(query.shape[2])
    return dense.attention_rows(pattern, query, key, value, query.shape[3] ** -0.5, rows, query.dtype)
