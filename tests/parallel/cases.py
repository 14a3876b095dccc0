"""Calls that are made on several ranks, and by one process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

import attncc
from attncc.ir.schedule import Shape
from attncc.parallel.functional import Form
from attncc.parallel.layout import Partition

EVERY_OTHER = {"pattern": "every_other", "mask": "kv <= q and (kv_len - kv) % 2 == 0 and batch == 0"}
TILTED = {"pattern": "tilted", "mask": "kv <= q", "score": {"softcap": 3.0, "alibi": True, "scale": 0.5}}
FRESH: Mapping[str, Mapping[str, object]] = {"every_other": EVERY_OTHER, "tilted": TILTED}

EVEN, RAGGED, LONG = Shape(1, 4, 2, 64, 64, 16), Shape(2, 4, 2, 61, 61, 16), Shape(1, 2, 1, 517, 517, 16)


@dataclass(frozen=True, slots=True)
class Case:
    """A call: its pattern and parameters, ranks, and how the sequence is shared out and sent; whether its length is
    told, and whether rectangles are computed by kernels, which take a while to compile, or by PyTorch's operators."""

    pattern: str
    ranks: int
    form: Form
    partition: Partition
    params: Mapping[str, int] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    shape: Shape = EVEN
    told: bool = False
    compiled: bool = False

    @property
    def name(self) -> str:
        return f"{self.pattern} {self.ranks} {self.form} {self.partition} {self.shape.kv_len} {self.dtype}"

    def load(self) -> attncc.Pattern:
        if self.pattern in FRESH:
            return attncc.Pattern.from_dict(FRESH[self.pattern])
        return attncc.Pattern.load(self.pattern, **self.params)

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """query, key and value of the whole sequence, the same in every process."""
        draws, one = torch.Generator().manual_seed(7), self.shape
        sizes = [(one.batch, heads, one.kv_len, one.head_dim) for heads in (one.q_heads, one.kv_heads, one.kv_heads)]
        query, key, value = (torch.randn(size, generator=draws).to(self.dtype) for size in sizes)
        return query, key, value

    def inputs(self) -> dict[str, Tensor]:
        """Documents that begin in the middle of chunks, words, sinks, tables."""
        one, at = self.shape, torch.arange(self.shape.kv_len)
        blocks = -(-one.kv_len // 64)
        every = {
            "doc": (at >= one.kv_len // 3).int() + (at >= one.kv_len - 9).int(),
            "word": (at // 5).expand(one.batch, -1),
            "valid": (at % 7 != 3).int(),
            "sink": torch.linspace(-1, 1, one.q_heads),
            "table": torch.arange(blocks * blocks).view(1, 1, blocks, blocks) % 3 != 1,
        }
        return {given.name: every[given.name] for given in self.load().bound.inputs}

    def weights(self) -> tuple[Tensor, Tensor]:
        """What out and lse count in the loss, float32."""
        one = self.shape
        rows = torch.linspace(-1, 1, one.batch * one.q_heads * one.q_len).view(one.batch, one.q_heads, one.q_len)
        return rows.unsqueeze(-1) * torch.linspace(0.5, 1.5, one.head_dim), rows.flip(2)


CASES = (
    Case("causal", 4, "ring", "zigzag", shape=RAGGED),
    Case("causal", 2, "gather", "contiguous", dtype=torch.bfloat16, compiled=True),
    Case("sliding_window", 4, "ring", "contiguous", {"window": 9}, shape=RAGGED, told=True),
    Case("sliding_window", 4, "ring", "zigzag", {"window": 30}, dtype=torch.bfloat16),
    Case("a_shape", 2, "ring", "zigzag", {"sink": 3, "window": 9}, shape=RAGGED),
    Case("a_shape", 4, "gather", "zigzag", {"sink": 3, "window": 9}),
    Case("dense", 4, "ring", "contiguous", shape=RAGGED),
    Case("sliding_window_bidirectional", 4, "ring", "zigzag", {"left": 5, "right": 5}),
    Case("duo_attention", 4, "ring", "zigzag", {"full_heads": 2, "sink": 2, "recent": 8}),
    Case("every_other", 2, "ring", "zigzag", shape=RAGGED),
    Case("alibi", 4, "ring", "zigzag", shape=RAGGED),
    Case("tilted", 2, "ring", "contiguous"),
    Case("gemma2", 2, "gather", "zigzag", {"window": 20}),
    Case("gpt_oss", 4, "ring", "zigzag", {"window": 20}, shape=RAGGED),
    Case("documents", 4, "ring", "zigzag", shape=RAGGED),
    Case("documents", 2, "gather", "contiguous", dtype=torch.bfloat16, compiled=True),
    Case("learn_your_tokens", 2, "ring", "zigzag", shape=RAGGED),
    Case("padded", 2, "gather", "zigzag"),
    Case("landmark", 4, "gather", "zigzag", {"block": 8}, shape=RAGGED),
    Case("softplus_attention", 2, "gather", "contiguous"),
    Case("block_table", 2, "gather", "zigzag", shape=LONG),
    Case("block_sparse", 2, "gather", "zigzag", {"top": 2, "dense_below": 0}, shape=LONG, compiled=True),
    Case("vertical_slash", 2, "gather", "contiguous", {"dense_below": 0}, shape=LONG),
)
