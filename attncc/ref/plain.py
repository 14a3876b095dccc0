"""Attention and its gradients in plain PyTorch, block of rows by block of rows: memory stays bounded, at any length."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

from attncc.combines.rule import rules
from attncc.ir.pattern import SOFTMAX, Pattern
from attncc.lists import NOTHING, Given
from attncc.ref.answers import options
from attncc.ref.rows import Rows, blocks, by_head, scores, weights

#: Queries, keys and values of some rows, or their gradients; gradients of out and lse.
Leaves: TypeAlias = tuple[Tensor, Tensor, Tensor]
Grads: TypeAlias = tuple[Tensor, Tensor | None]

#: What operators leave out while their kernels run.
AUTOGRAD = torch._C.DispatchKeySet(torch._C.DispatchKey.AutogradFunctionality)


def forward(
    pattern: Pattern, query: Tensor, key: Tensor, value: Tensor, scale: float, given: Given = NOTHING
) -> tuple[Tensor, Tensor]:
    """(out, lse), both contiguous: out like query, lse float32 [batch, q_heads, q_len]; float32 inside."""
    kv_heads = key.shape[1]
    out, lse = query.new_empty(query.shape), query.new_empty(query.shape[:3], dtype=torch.float32)
    keys, values = by_head(key, kv_heads), by_head(value, kv_heads)
    for rows in blocks(pattern, query, key, given):
        here = slice(rows.start, rows.stop)
        queries = by_head(query[:, :, here], kv_heads)
        leaves = (queries, keys[..., rows.columns, :], values[..., rows.columns, :])
        part, total = _attend(pattern, rows, leaves, scale, given)
        out[:, :, here] = part.flatten(1, 2).to(out.dtype)
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
    given: Given = NOTHING,
    inner: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of query, key and value, like them, from those of out and lse (None: zero); float32 inside.

    Sets are taken as given: no gradient goes through a choice. With weights P = exp(S - lse) of a softmax: dV = P^T dO,
    dP = dO V^T, dS = P (dP - rowsum(P dP) + dlse). Other rules of combination are derived by autograd.

    Where `key` holds some of the keys only, and lse is that of all, `inner` says what rowsum(P dP) - dlse is for all of
    them, [batch, q_heads, q_len]; it equals rowsum(out dO) - dlse.
    """
    kv_heads = key.shape[1]
    grad_query = torch.empty_like(query)
    keys, values = by_head(key, kv_heads), by_head(value, kv_heads)
    grad_keys, grad_values = torch.zeros_like(keys), torch.zeros_like(values)
    for rows in blocks(pattern, query, key, given):
        here, columns = slice(rows.start, rows.stop), rows.columns
        parts = (by_head(query[:, :, here], kv_heads), keys[..., columns, :], values[..., columns, :])
        grads = (
            by_head(grad_out[:, :, here], kv_heads),
            None if grad_lse is None else by_head(grad_lse[:, :, here], kv_heads),
        )
        if pattern.combine == SOFTMAX:
            known = None if inner is None else by_head(inner[:, :, here], kv_heads)
            found = _of_softmax(pattern, rows, parts, grads, by_head(lse[:, :, here], kv_heads), scale, known)
        else:
            found = _by_autograd(pattern, rows, parts, grads, scale, given)
        grad_query[:, :, here] = found[0].flatten(1, 2).to(query.dtype)
        grad_keys.index_add_(3, columns, found[1].sum(2, keepdim=True))
        grad_values.index_add_(3, columns, found[2].sum(2, keepdim=True))
    return grad_query, _like(grad_keys, key), _like(grad_values, value)


def _attend(pattern: Pattern, rows: Rows, leaves: Leaves, scale: float, given: Given) -> tuple[Tensor, Tensor]:
    """(out, lse) of some rows; `leaves` are their queries, keys and values, as `by_head` makes them."""
    queries, keys, values = leaves
    score, _ = scores(pattern, rows, queries, keys, scale)
    if pattern.combine == SOFTMAX:
        total = torch.logsumexp(score, -1)
        return weights(score, total) @ values, total
    positions = rows.distance[:, 0] + rows.columns[0]
    rule = rules()[pattern.combine.rule]
    weight, lse = rule.weights(score.flatten(1, 2), positions, rows.columns, options(pattern.combine, given))
    return weight.view(score.shape) @ values, lse.view(score.shape[:-1])


def _of_softmax(
    pattern: Pattern, rows: Rows, leaves: Leaves, grads: Grads, lse: Tensor, scale: float, inner: Tensor | None
) -> Leaves:
    (queries, keys, values), (grad, grad_lse) = leaves, grads
    score, slope = scores(pattern, rows, queries, keys, scale)
    weight = weights(score, lse)
    grad_weight = grad @ values.transpose(-1, -2)
    if inner is None:
        inner = (weight * grad_weight).sum(-1)
        inner = inner if grad_lse is None else inner - grad_lse
    grad_dot = weight * (grad_weight - inner.unsqueeze(-1)) * slope
    return grad_dot @ keys, grad_dot.transpose(-1, -2) @ queries, weight.transpose(-1, -2) @ grad


def _by_autograd(pattern: Pattern, rows: Rows, leaves: Leaves, grads: Grads, scale: float, given: Given) -> Leaves:
    grad, grad_lse = grads
    with torch.enable_grad(), _recorded():
        queries, keys, values = (tensor.detach().requires_grad_() for tensor in leaves)
        out, lse = _attend(pattern, rows, (queries, keys, values), scale, given)
    outward = [(out, grad)] if grad_lse is None else [(out, grad), (lse, grad_lse)]
    results, above = [one for one, _ in outward], [one for _, one in outward]
    found = torch.autograd.grad(results, [queries, keys, values], above)
    return found[0], found[1], found[2]


def _recorded() -> torch._C._ForceDispatchKeyGuard:
    """Autograd on, within operators too: their kernels run below it, where nothing is recorded."""
    include, exclude = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()
    return torch._C._ForceDispatchKeyGuard(include, exclude - AUTOGRAD)


def _like(gradient: Tensor, leaf: Tensor) -> Tensor:
    return torch.empty_like(leaf).copy_(gradient.flatten(1, 2))
