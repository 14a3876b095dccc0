"""Which positions of a sequence lie on which rank?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Literal, TypeAlias, get_args

from attncc.errors import SequenceTooShort, UnknownWord, WrongShare

#: How a sequence is shared out. contiguous: one chunk for each rank, in order. zigzag: two for each, chunk r from the
#: front and chunk r from the back to rank r, so that all ranks have the same work where later rows see more keys.
Partition: TypeAlias = Literal["zigzag", "contiguous"]
PARTITIONS: tuple[Partition, ...] = get_args(Partition)


@dataclass(frozen=True, slots=True)
class Layout:
    """A sequence of `length` positions on `ranks` ranks. Chunks differ by one position at most, longer ones first.

    Raises UnknownWord, or SequenceTooShort if there are fewer positions than chunks.
    """

    length: int
    ranks: int
    partition: Partition = "zigzag"

    def __post_init__(self) -> None:
        if self.partition not in PARTITIONS:
            raise UnknownWord("partition", self.partition, PARTITIONS)
        if self.length < self.parts:
            raise SequenceTooShort(self.length, self.parts)

    @property
    def parts(self) -> int:
        """How many chunks there are."""
        return self.ranks * (2 if self.partition == "zigzag" else 1)

    @property
    def chunks(self) -> tuple[range, ...]:
        """The positions of every chunk, in the order of the sequence."""
        return _chunks(self.length, self.parts)

    def owned(self, rank: int) -> tuple[range, ...]:
        """The chunks of a rank, in the order in which its tensors hold them."""
        if self.partition == "contiguous":
            return (self.chunks[rank],)
        return (self.chunks[rank], self.chunks[self.parts - 1 - rank])

    def held(self, rank: int) -> int:
        """How many positions a rank has."""
        return sum(map(len, self.owned(rank)))

    def check(self, rank: int, found: int) -> None:
        """Raises WrongShare if a tensor of `found` positions is not what the rank has."""
        if found != self.held(rank):
            raise WrongShare(rank, found, self.held(rank), self.length, self.ranks, self.partition)

    def places(self, rank: int, positions: range) -> range:
        """Where the tensors of a rank hold `positions`, which lie in one of its chunks."""
        before = 0
        for chunk in self.owned(rank):
            if positions.start in chunk:
                return range(before + positions.start - chunk.start, before + positions.stop - chunk.start)
            before += len(chunk)
        raise AssertionError(f"rank {rank} does not have the positions from {positions.start} on")


@lru_cache(maxsize=1024)
def _chunks(length: int, parts: int) -> tuple[range, ...]:
    size, longer = divmod(length, parts)
    ends = accumulate((size + (at < longer) for at in range(parts)), initial=0)
    return tuple(range(first, stop) for first, stop in pairwise(ends))
