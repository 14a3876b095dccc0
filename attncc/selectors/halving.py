"""What searches by halves are made of: products with picked keys, which heads decide, the best, how often to halve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import embedding

from attncc.selectors.row_blocks import pieces

Name = TypeVar("Name", int, tuple[int, int])


def largest(query: Tensor, present: Tensor | None, key: Tensor, position: Tensor) -> Tensor:
    """The largest product of a picked key with the queries of its row block: float32 [batch, q_heads, blocks, picked].

    query is float32 [batch, q_heads, blocks, queries, head_dim]; those `present`, bool [blocks, queries], count (None:
    all); key is [batch, kv_heads, kv_len, head_dim]; position is int64 [batch, heads, blocks, picked], where heads is
    q_heads, or kv_heads for one pick for the heads that share keys.
    """
    batch, heads, blocks, picked = position.shape
    group = query.shape[1] // heads
    asked = query.unflatten(1, (heads, group)).transpose(2, 3).flatten(3, 4).transpose(-1, -2)
    rows = _key_rows(key, position)
    flat = key.flatten(0, 2)
    most = position.new_empty((batch, heads, blocks, picked, group), dtype=torch.float32)
    for piece in pieces(range(picked), batch * heads * blocks * (query.shape[-1] + asked.shape[-1])):
        here = slice(piece.start, piece.stop)
        product = (embedding(rows[..., here], flat).float() @ asked).unflatten(-1, (group, -1))
        if present is not None:
            product = product.masked_fill(~present[:, None, None], -torch.inf)
        most[..., here, :] = product.amax(-1)
    return most.movedim(-1, 2).flatten(1, 2)


def together(score: Tensor, share: str, kv_heads: int) -> Tensor:
    """Scores of query heads, [batch, q_heads, ...], as they decide: the largest of all heads, of those of a KV head, or
    each; [batch, heads, ...] with kv_heads, kv_heads or q_heads."""
    if share == "each":
        return score
    best: Tensor = score.unflatten(1, (kv_heads, -1)).amax(2)
    if share == "group":
        return best
    assert share == "all", "share is all, group or each"
    return best.amax(1, keepdim=True).expand(best.shape)


def per_query_head(tensor: Tensor, q_heads: int) -> Tensor:
    """[batch, heads, ...] repeated so that each query head has its own."""
    return tensor.repeat_interleave(q_heads // tensor.shape[1], 1)


def best_of(score: Tensor, count: int) -> Tensor:
    """The places of the `count` largest scores of the last dimension, ascending; ties go to the smaller place."""
    return score.sort(stable=True, dim=-1, descending=True).indices[..., :count].sort(-1).values


def plain_together(scores: Sequence[Mapping[Name, float]], share: str, kv_heads: int) -> list[dict[Name, float]]:
    """What `together` does, for each query head, whose scores have names: the same for heads that decide together."""
    q_heads = len(scores)
    size = {"each": 1, "group": q_heads // kv_heads, "all": q_heads}[share]
    sharing = [scores[head // size * size : head // size * size + size] for head in range(q_heads)]
    return [{name: max(one[name] for one in mine) for name in mine[0]} for mine in sharing]


def halvings(size: int) -> int:
    """How often a group of `size` is halved until one is left; a group of one is looked at once."""
    return max(1, (size - 1).bit_length())


def _key_rows(key: Tensor, position: Tensor) -> Tensor:
    """Row numbers of the keys at `position` in the flattened key."""
    batch, kv_heads, kv_len, _ = key.shape
    heads = position.shape[1]
    owner = torch.arange(heads, device=key.device) * kv_heads // heads
    first = torch.arange(batch, device=key.device)[:, None] * kv_heads + owner
    return first[:, :, None, None] * kv_len + position
