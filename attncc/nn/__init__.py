"""Sparse attention where models call PyTorch: a module, and what stands in for `scaled_dot_product_attention`."""

from __future__ import annotations

from attncc.nn.drop_in import scaled_dot_product_attention
from attncc.nn.mode import instead_of_sdpa
from attncc.nn.module import SparseAttention

__all__ = ["SparseAttention", "instead_of_sdpa", "scaled_dot_product_attention"]
