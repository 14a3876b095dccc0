"""Attention and its gradients in plain PyTorch, block of rows by block of rows: memory stays bounded, at any length."""

from __future__ import annotations

import torch
from torch import Tensor

from attncc.ir.pattern import Pattern
from attncc.ref.rows import blocks, by_head, scores, weights


def forward(pattern: Pattern, query: Tensor, key: Tensor, value: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """(out, lse), both contiguous: out like query, lse float32 [batch, q_heads, q_len]; float32 inside."""
    kv_heads = key.shape[1]
    out, lse = query.new_empty(query.shape), query.new_empty(query.shape[:3], dtype=torch.float32)
    keys, values = by_head(key, kv_heads), by_head(value, kv_heads)
    for rows in blocks(pattern, query, key):
        here = slice(rows.start, rows.stop)
        queries = by_head(query[:, :, here], kv_heads)
        score, _ = scores(pattern, rows, queries, keys[..., rows.columns, :], scale)
        total = torch.logsumexp(score, -1)
        out[:, :, here] = (weights(score, total) @ values[..., rows.columns, :]).flatten(1, 2).to(out.dtype)
        lse[:, :, here] = total.flatten(1, 2)
    return out, lse


def backward(
    pattern: Pattern,
    grad_out: Tensor,
    grad_lse: Tensor | None,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lse: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of query, key and value, like them, from those of out and lse (None: zero); float32 inside.

    With weights P = exp(S - lse): dV = P^T dO, dP = dO V^T, dS = P (dP - rowsum(P dP) + dlse).
    """
    kv_heads = key.shape[1]
    grad_query = torch.empty_like(query)
    keys, values = by_head(key, kv_heads), by_head(value, kv_heads)
    grad_keys, grad_values = torch.zeros_like(keys), torch.zeros_like(values)
    for rows in blocks(pattern, query, key):
        here, columns = slice(rows.start, rows.stop), rows.columns
        queries, grad = by_head(query[:, :, here], kv_heads), by_head(grad_out[:, :, here], kv_heads)
        score, slope = scores(pattern, rows, queries, keys[..., columns, :], scale)
        weight = weights(score, by_head(lse[:, :, here], kv_heads))
        grad_weight = grad @ values[..., columns, :].transpose(-1, -2)
        inner = (weight * grad_weight).sum(-1, keepdim=True)
        if grad_lse is not None:
            inner = inner - by_head(grad_lse[:, :, here], kv_heads).unsqueeze(-1)
        grad_dot = weight * (grad_weight - inner) * slope
        grad_query[:, :, here] = (grad_dot @ keys[..., columns, :]).flatten(1, 2).to(query.dtype)
        grad_keys.index_add_(3, columns, (grad_dot.transpose(-1, -2) @ queries).sum(2, keepdim=True))
        grad_values.index_add_(3, columns, (weight.transpose(-1, -2) @ grad).sum(2, keepdim=True))
    return grad_query, _like(grad_keys, key), _like(grad_values, value)


def _like(gradient: Tensor, leaf: Tensor) -> Tensor:
    return torch.empty_like(leaf).copy_(gradient.flatten(1, 2))
