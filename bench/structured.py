"""Query, key and value in which a choice finds something: keys like their neighbours, rotated positions, sinks."""

from __future__ import annotations

import torch
from torch import Tensor

from attncc.autotune.inputs import alike
from attncc.ir.schedule import Shape

#: The slowest pair of coordinates turns by less than a radian over 500,000 tokens, as in models with long prompts.
ROTARY_BASE = 500_000.0
#: What all queries and all keys of a head have in common, in standard deviations; rotated, it becomes diagonals.
COMMON = 0.5
#: The first keys, and keys anywhere, that every query likes: columns.
SINKS, NEEDLES = 4, 64
#: How much more every query likes those, along the slowest pair, in standard deviations.
LIKED = 4.0


def structured(shape: Shape, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """float32 query [batch, q_heads, q_len, head_dim], key and value [batch, kv_heads, kv_len, head_dim]."""

    def normal(heads: int, length: int) -> Tensor:
        return torch.randn(shape.batch, heads, length, shape.head_dim, generator=generator)

    query, key = alike(normal(shape.q_heads, shape.q_len)), alike(normal(shape.kv_heads, shape.kv_len))
    common = COMMON * normal(shape.kv_heads, 1)
    positions = torch.arange(shape.kv_len)
    query = rotated(query + common.repeat_interleave(shape.group, 1), positions[shape.kv_len - shape.q_len :])
    key = rotated(key + common, positions)
    liked = torch.cat([torch.arange(SINKS), torch.randint(0, shape.kv_len, (NEEDLES,), generator=generator)])
    slowest = [shape.head_dim // 2 - 1, shape.head_dim - 1]
    for coordinate in slowest:
        query[..., coordinate] += LIKED
        key[:, :, liked, coordinate] += LIKED
    return query, key, normal(shape.kv_heads, shape.kv_len)


def rotated(vectors: Tensor, positions: Tensor) -> Tensor:
    """Rotary position embedding (arXiv 2104.09864) of [..., tokens, head_dim]: coordinate i turns with i + half."""
    half = vectors.shape[-1] // 2
    angle = positions[:, None] * ROTARY_BASE ** (-torch.arange(half) / half)
    left, right = vectors[..., :half], vectors[..., half:]
    return torch.cat([left * angle.cos() - right * angle.sin(), right * angle.cos() + left * angle.sin()], -1)
