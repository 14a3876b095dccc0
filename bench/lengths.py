"""From which length on does a pattern pay? The same call at growing lengths, beside dense attention."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

import attncc
from attncc.ir.schedule import DType, Shape
from attncc.report.record import Rung
from bench.clock import interleave
from bench.structured import structured

NAME = "lengths"
DTYPE: DType = "float32"
HEADS, HEAD_DIM, SEED = 2, 128, 20261125
QUICK, FULL = (512, 1024, 2048, 4096), (512, 1024, 2048, 4096, 8192, 16384)


@dataclass(frozen=True, slots=True)
class Ladder:
    """A pattern with its parameters, as it is measured at every length."""

    pattern: str
    params: tuple[tuple[str, int], ...]


#: Published settings, except that nothing is dense below a length: that length is what is asked for.
LADDERS = (
    Ladder("a_shape", (("sink", 128), ("window", 1024))),
    Ladder("sliding_window", (("window", 1024),)),
    Ladder("vertical_slash", (("vertical", 100), ("slash", 800))),
    Ladder("block_sparse", (("top", 16),)),
)


def measure(lengths: Sequence[int], rounds: int) -> Iterator[Rung]:
    """A rung for each ladder and length, on one thread, in CPU time."""
    torch.set_num_threads(1)
    for ladder in LADDERS:
        for length in lengths:
            yield _rung(ladder, length, rounds)


def _rung(ladder: Ladder, length: int, rounds: int) -> Rung:
    shape = Shape(1, HEADS, HEADS, length, length, HEAD_DIM)
    query, key, value = structured(shape, torch.Generator().manual_seed(SEED))
    pattern = attncc.Pattern.load(ladder.pattern, **dict(ladder.params))
    causal = attncc.Pattern.load("causal")

    calls: dict[str, Callable[[], Tensor]] = {
        "pattern": lambda: attncc.attention(query, key, value, pattern),
        "own": lambda: attncc.attention(query, key, value, causal),
        "sdpa": lambda: scaled_dot_product_attention(query, key, value, is_causal=True),
    }
    for call in calls.values():
        call()
    found = {name: sampled.micros for name, sampled in interleave(calls, "cpu", rounds).items()}
    return Rung(ladder.pattern, ladder.params, DTYPE, shape, found["pattern"], found["own"], found["sdpa"])
