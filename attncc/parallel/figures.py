"""What does a call on several ranks compute and send, beside full ring attention? In numbers, before any of it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attncc import passes
from attncc.autotune.counts import counts
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import BYTES, DType, Shape
from attncc.ir.tile import Tiling
from attncc.parallel.traffic import Traffic
from attncc.passes.rectangle import cut, padding, sized

#: Rows of the tiles that work is counted in.
ROWS = 64


@dataclass(frozen=True, slots=True)
class Share:
    """One rank: its positions; the rectangles (a chunk of rows, a chunk of keys) it computes, of all that it has rows
    of; pairs its tiles visit, all heads and batches together; bytes that it sends in a forward pass."""

    positions: int
    rectangles: int
    of_rectangles: int
    pairs: int
    bytes_sent: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All ranks, and the bytes that they send together where every rank sends everything on to the next."""

    shares: tuple[Share, ...]
    full_ring_bytes: int

    @property
    def bytes_sent(self) -> int:
        """By all ranks, in a forward pass."""
        return sum(share.bytes_sent for share in self.shares)

    @property
    def sent_of_full_ring(self) -> float:
        """What is sent, as a share of full ring attention; 0 for one rank."""
        return self.bytes_sent / self.full_ring_bytes if self.full_ring_bytes else 0.0

    @property
    def imbalance(self) -> float:
        """The most work of a rank over the work of an average one; 1 where there is none."""
        work = [share.pairs for share in self.shares]
        return max(work) * len(work) / sum(work) if any(work) else 1.0


def figures(traffic: Traffic, dtype: DType) -> Figures:
    """Bytes are exact. Work is exact but for sets and inputs, whose lists are as long as is expected."""
    ranks, shape = traffic.layout.ranks, traffic.shape
    per_head = shape.batch * shape.head_dim * BYTES[dtype]
    whole = (ranks - 1) * traffic.layout.length * 2 * shape.kv_heads * per_head
    return Figures(tuple(_share(traffic, rank, per_head) for rank in range(ranks)), whole)


def _share(traffic: Traffic, rank: int, per_head: int) -> Share:
    layout, shape = traffic.layout, traffic.shape
    keys = sum(traffic.sent(rank, other) for other in range(layout.ranks))
    queries = sum(traffic.queries_sent(rank, other) for other in range(layout.ranks))
    calls = list(_calls(traffic, rank))
    every = len(layout.owned(rank)) * layout.parts
    return Share(
        positions=layout.held(rank),
        rectangles=len(calls) if traffic.split else every,
        of_rectangles=every,
        pairs=sum(_pairs(pattern, shape, *lengths) for pattern, lengths in calls),
        bytes_sent=(2 * keys * shape.kv_heads + queries * shape.q_heads) * per_head,
    )


def _calls(traffic: Traffic, rank: int) -> Iterator[tuple[Pattern, tuple[int, int]]]:
    """What the rank calls kernels for: patterns, each with its q_len and kv_len."""
    if traffic.split:
        for job in traffic.jobs(rank):
            rows, keys = len(job.rectangle.rows), len(job.rectangle.keys)
            pattern = cut(traffic.pattern, job.rectangle, traffic.shape)
            yield pattern, (rows, keys + padding(traffic.pattern, job.rectangle))
    else:
        for chunk in traffic.layout.owned(rank):
            yield sized(traffic.pattern, traffic.shape), (len(chunk), chunk.stop)


def _pairs(pattern: Pattern, shape: Shape, q_len: int, kv_len: int) -> int:
    call = Shape(shape.batch, shape.q_heads, shape.kv_heads, q_len, kv_len, shape.head_dim)
    visited = counts(passes.run(pattern, Tiling(ROWS, 1)), call).keys
    first = kv_len - q_len
    starts = np.arange(first // ROWS, (kv_len - 1) // ROWS + 1) * ROWS
    rows = np.minimum(starts + ROWS, kv_len) - np.maximum(starts, first)
    alike = shape.batch * shape.q_heads // (visited.shape[0] * visited.shape[1])
    pairs: int = alike * int((visited * rows).sum())
    return pairs
