"""What scores of every key are made of: products with all keys, which keys a row block sees, how many of each label."""

from __future__ import annotations

import torch
from torch import Tensor

from attncc.selectors.row_blocks import pieces, stops
from attncc.selectors.score import Call


def products(query: Tensor, key: Tensor) -> Tensor:
    """query, float32 [batch, q_heads, rows, head_dim], with every key: float32 [batch, q_heads, rows, kv_len]."""
    batch, q_heads, rows, head_dim = query.shape
    kv_heads, kv_len = key.shape[1:3]
    asked = query.reshape(batch, kv_heads, q_heads // kv_heads * rows, head_dim)
    out = query.new_empty((*asked.shape[:3], kv_len))
    for piece in pieces(range(kv_len), batch * kv_heads * head_dim):
        here = slice(piece.start, piece.stop)
        out[..., here] = asked @ key[:, :, here].float().transpose(-1, -2)
    return out.view(batch, q_heads, rows, kv_len)


def unseen(call: Call, part: range) -> Tensor:
    """The keys after the last position of each row block, where the choice is causal: bool [blocks, kv_len]."""
    device = call.key.device
    return torch.arange(call.kv_len, device=device) >= stops(call, part, device)[:, None]


def seen(call: Call, part: range, label: Tensor, labels: int) -> Tensor:
    """How many keys of each label a row block sees: int64 [batch, kv_heads, blocks, labels].

    `label` is int64 [batch, kv_heads, kv_len], from 0 to labels - 1.
    """
    position = torch.arange(call.kv_len, device=label.device)
    since = torch.searchsorted(stops(call, part, label.device), position, right=True)
    place = since * labels + label
    counted = label.new_zeros((*label.shape[:2], (len(part) + 1) * labels))
    counted.scatter_add_(-1, place, torch.ones((), dtype=torch.int64, device=label.device).expand_as(place))
    counts: Tensor = counted.unflatten(-1, (-1, labels))[:, :, : len(part)]
    return counts.cumsum(2)
