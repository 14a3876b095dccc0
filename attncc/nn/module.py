"""Which module attends to itself by a pattern?"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from attncc.errors import HeadsNotGrouped
from attncc.functional import attention
from attncc.pattern import Pattern, resolve

#: Keys and values of earlier tokens, each [batch, kv_heads, len, head_dim].
Memory = tuple[Tensor, Tensor]


class SparseAttention(nn.Module):
    """Multi-head self-attention in which each query sees the keys that `pattern` keeps.

    `width` is the last dimension of what goes in and comes out; q_heads is a multiple of kv_heads (equal to it unless
    given), head_dim is width // q_heads unless given. `pattern` is a Pattern, or the name or file of one. Raises
    HeadsNotGrouped, UnsupportedHeadDim at the first call, and what loading raises.

        layer = attncc.nn.SparseAttention(512, 8, kv_heads=2, pattern=attncc.Pattern.load("a_shape", window=256))
        out = layer(torch.randn(1, 4096, 512))
    """

    def __init__(
        self,
        width: int,
        q_heads: int,
        *,
        pattern: Pattern | str,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        bias: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.q_heads, self.kv_heads = q_heads, q_heads if kv_heads is None else kv_heads
        self.head_dim = width // q_heads if head_dim is None else head_dim
        if self.q_heads % self.kv_heads:
            raise HeadsNotGrouped(self.q_heads, self.kv_heads)
        self.pattern = resolve(pattern)
        inner, shared = self.q_heads * self.head_dim, self.kv_heads * self.head_dim
        self.query = nn.Linear(width, inner, bias, device=device, dtype=dtype)
        self.key = nn.Linear(width, shared, bias, device=device, dtype=dtype)
        self.value = nn.Linear(width, shared, bias, device=device, dtype=dtype)
        self.out = nn.Linear(inner, width, bias, device=device, dtype=dtype)

    def forward(self, hidden: Tensor, **inputs: Tensor) -> Tensor:
        """Like `hidden`, [batch, len, width]. `inputs` are those of the pattern. Raises what `attncc.attention`
        raises."""
        return self.following(hidden, None, **inputs)[0]

    def following(self, hidden: Tensor, memory: Memory | None, **inputs: Tensor) -> tuple[Tensor, Memory]:
        """(out, memory): the same for tokens that follow those of `memory`, and the memory with them. Step by step,
        this gives the rows that `forward` gives for all tokens at once, where the pattern's mask is all there is."""
        query, key, value = (
            part(hidden).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        if memory is not None:
            key, value = torch.cat([memory[0], key], 2), torch.cat([memory[1], value], 2)
        attended = attention(query, key, value, self.pattern, **inputs)
        return cast(Tensor, self.out(attended.transpose(1, 2).flatten(2))), (key, value)

    def extra_repr(self) -> str:
        return f"q_heads={self.q_heads}, kv_heads={self.kv_heads}, head_dim={self.head_dim}, pattern={self.pattern!r}"
