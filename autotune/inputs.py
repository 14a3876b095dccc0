"""What are kernels tried on? Random numbers, the same for the same seed, and what a pattern asks for besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from attncc.device import DeviceKind
from attncc.giving import chosen, given
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DType, Shape
from attncc.ir.selection import Input
from attncc.lists import Given, rows_of

#: How much of a key is taken over from the key before it, where keys are chosen.
LIKENESS = 0.95
#: Share of the blocks that a random table keeps.
TABLE_DENSITY = 0.2
#: Documents of a packed sequence.
DOCUMENTS = 8


@dataclass(frozen=True, slots=True)
class Inputs:
    """query [batch, q_heads, q_len, head_dim], key and value [batch, kv_heads, kv_len, head_dim], and the scale; the
    inputs of the pattern by name, and what a kernel is given for them."""

    query: Tensor
    key: Tensor
    value: Tensor
    scale: float
    named: Mapping[str, Tensor] = field(default_factory=dict)
    given: Given | None = None


def random_inputs(
    shape: Shape, dtype: DType, kind: DeviceKind, seed: int = 0, pattern: Pattern | None = None
) -> Inputs:
    """Independent N(0, 1) entries; zeros or constants would cost a machine less power and hide mistakes.

    Where `pattern` chooses keys, each key is like the one before it: among independent ones every choice is scattered,
    and tells nothing of how long a kernel takes.
    """
    generator = torch.Generator().manual_seed(seed)
    place = torch.device("cpu" if kind == "cpu" else "cuda")

    def normal(heads: int, length: int) -> Tensor:
        return torch.randn(shape.batch, heads, length, shape.head_dim, generator=generator)

    query = normal(shape.q_heads, shape.q_len)
    key, value = normal(shape.kv_heads, shape.kv_len), normal(shape.kv_heads, shape.kv_len)
    if pattern is not None and pattern.selections:
        key = alike(key)
    query, key, value = (tensor.to(place, getattr(torch, dtype)) for tensor in (query, key, value))
    scale = shape.head_dim**-0.5
    if pattern is None or not (pattern.inputs or pattern.selections):
        return Inputs(query, key, value, scale)
    named = {one.name: drawn(one, shape, generator).to(place) for one in pattern.inputs}
    lists = chosen(pattern, query, key, scale, named)
    held = given(pattern, lists, named, shape.q_len, shape.kv_len)
    return Inputs(query, key, value, scale, named, held)


def alike(key: Tensor, likeness: float = LIKENESS) -> Tensor:
    """An autoregressive sequence of order 1 along the third dimension, with the variance of `key`, its noise."""
    found = key.clone()
    fresh = (1 - likeness**2) ** 0.5
    for at in range(1, key.shape[2]):
        found[:, :, at] = likeness * found[:, :, at - 1] + fresh * key[:, :, at]
    return found


def drawn(one: Input, shape: Shape, generator: torch.Generator) -> Tensor:
    """A random input of a pattern: documents that ascend, a thin table, normal numbers."""
    match one.per:
        case "token":
            ends = torch.randint(0, shape.kv_len, (shape.batch, DOCUMENTS - 1), generator=generator).sort().values
            return torch.searchsorted(ends, torch.arange(shape.kv_len).repeat(shape.batch, 1), right=True)
        case "head":
            return torch.randn(shape.q_heads, generator=generator)
        case "unit":
            return torch.randn(shape.batch, shape.kv_heads, 1, shape.kv_len, generator=generator)
        case "block":
            assert one.geometry is not None, "an input per block is a set"
            rows, units = rows_of(shape.q_len, shape.kv_len, one.geometry.rows), -(-shape.kv_len // one.geometry.size)
            sizes = (shape.batch, shape.q_heads, len(rows), units)
            return torch.rand(sizes, generator=generator) < TABLE_DENSITY
