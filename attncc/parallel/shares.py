"""A sequence taken apart into the tensors of its ranks, and put together again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attncc.parallel.layout import Layout, Partition


def partition(whole: Tensor, rank: int, ranks: int, partition: Partition = "zigzag", *, dim: int = 2) -> Tensor:
    """What `rank` has of a sequence that lies along `dim`: its chunks, one behind the other.

    Raises UnknownWord, SequenceTooShort.
    """
    owned = Layout(whole.shape[dim], ranks, partition).owned(rank)
    return torch.cat([whole.narrow(dim, chunk.start, len(chunk)) for chunk in owned], dim)


def unpartition(shares: Sequence[Tensor], partition: Partition = "zigzag", *, dim: int = 2) -> Tensor:
    """The sequence whose shares on all ranks these are, in the order of ranks.

    Raises UnknownWord, SequenceTooShort, and WrongShare if a share has not the length that its rank must have.
    """
    found = Layout(sum(share.shape[dim] for share in shares), len(shares), partition)
    chunks: dict[int, Tensor] = {}
    for rank, share in enumerate(shares):
        found.check(rank, share.shape[dim])
        sizes = [len(chunk) for chunk in found.owned(rank)]
        pieces = share.split(sizes, dim)
        chunks |= {chunk.start: piece for chunk, piece in zip(found.owned(rank), pieces, strict=True)}
    return torch.cat([chunks[first] for first in sorted(chunks)], dim)


def positions(length: int, rank: int, ranks: int, partition: Partition = "zigzag") -> Tensor:
    """The absolute positions of what `rank` has of `length` positions: int64 [held], as rotary embeddings need them.

    Raises UnknownWord, SequenceTooShort.
    """
    owned = Layout(length, ranks, partition).owned(rank)
    return torch.cat([torch.arange(chunk.start, chunk.stop) for chunk in owned])
