"""Query, key and value of long calls, made where they are used: no host has room for a million tokens of all heads."""

from __future__ import annotations

import torch
from torch import Tensor

from attncc.autotune.inputs import LIKENESS
from attncc.ir.schedule import DType, Shape
from bench.problem import SEED
from bench.structured import COMMON, LIKED, NEEDLES, SINKS, rotated

#: Tokens between which a sequence is handed on one by one.
STRETCH = 512


def normal(shape: Shape, dtype: DType, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Independent N(0, 1) entries, the same at every run on one kind of device."""
    chance = torch.Generator(device).manual_seed(SEED)
    queries = (shape.batch, shape.q_heads, shape.q_len, shape.head_dim)
    keys = (shape.batch, shape.kv_heads, shape.kv_len, shape.head_dim)

    def drawn(size: tuple[int, ...]) -> Tensor:
        return torch.randn(size, generator=chance, device=device, dtype=getattr(torch, dtype))

    return drawn(queries), drawn(keys), drawn(keys)


def structured(shape: Shape, dtype: DType, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """What `bench.structured` makes, one KV head after another, so that only one is ever there in float32."""
    query, key, value = normal(shape, dtype, device)
    chance = torch.Generator(device).manual_seed(SEED + 1)
    positions = torch.arange(shape.kv_len, device=device)
    anywhere = torch.randint(0, shape.kv_len, (NEEDLES,), generator=chance, device=device)
    liked = torch.cat([torch.arange(SINKS, device=device), anywhere])
    slowest = [shape.head_dim // 2 - 1, shape.head_dim - 1]
    for batch in range(shape.batch):
        for head in range(shape.kv_heads):
            common = COMMON * torch.randn(1, shape.head_dim, generator=chance, device=device)
            keys = rotated(alike(key[batch, head].float()) + common, positions)
            keys[liked[:, None], torch.tensor(slowest, device=device)] += LIKED
            key[batch, head] = keys
            for one in range(head * shape.group, (head + 1) * shape.group):
                seen = positions[shape.kv_len - shape.q_len :]
                queries = rotated(alike(query[batch, one].float()) + common, seen)
                queries[:, slowest] += LIKED
                query[batch, one] = queries
    return query, key, value


def alike(noise: Tensor) -> Tensor:
    """Each row of [tokens, head_dim] like the one before it, as `autotune.inputs.alike` does it token by token; here
    within a stretch by a product with the powers of the likeness."""
    powers = LIKENESS ** torch.arange(STRETCH + 1, device=noise.device, dtype=torch.float64)
    steps = torch.arange(STRETCH, device=noise.device)
    apart = (steps[:, None] - steps).clamp(min=0)
    within = (powers[apart].tril() * (1 - LIKENESS**2) ** 0.5).to(noise.dtype)
    found = torch.empty_like(noise)
    # The first token is its own noise, whole.
    before, handed = noise[0], powers[:-1].to(noise.dtype)
    for start in range(0, noise.shape[0], STRETCH):
        part = noise[start : start + STRETCH].clone()
        if start == 0:
            part[0] = 0
        rows = part.shape[0]
        carried = (handed if start == 0 else handed * LIKENESS)[:rows, None] * before
        found[start : start + rows] = within[:rows, :rows] @ part + carried
        before = found[start + rows - 1]
    return found
