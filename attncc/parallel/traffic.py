"""What does each rank compute, and which keys must it be sent for it? Exact, from the pattern alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from attncc.errors import NotParallel
from attncc.ir.pattern import SOFTMAX, Alibi, Pattern, Softcap
from attncc.ir.schedule import Shape
from attncc.parallel.layout import Layout
from attncc.passes.rectangle import Rectangle, follows, seen

#: Rules of combination whose parts are put together by their lse.
MERGED = (SOFTMAX.rule, "sink_softmax")


@dataclass(frozen=True, slots=True)
class Job:
    """A rectangle that a rank computes: rows of its own, keys of a chunk of `owner`."""

    owner: int
    rectangle: Rectangle


@dataclass(frozen=True, slots=True)
class Traffic:
    """The attention of `pattern` over a sequence laid out on ranks, each with its own rows; `shape` is the whole call.

    Patterns whose parts can be merged (`split`) are computed rectangle by rectangle; others have all keys up to a
    chunk's last row in one place, and where sets are chosen all queries too. Raises NotParallel.
    """

    pattern: Pattern
    shape: Shape
    layout: Layout

    def __post_init__(self) -> None:
        if not self.split and not follows(self.pattern, self.shape):
            raise NotParallel(self.pattern.name, "its rows see keys behind them, and its parts cannot be merged")

    @property
    def split(self) -> bool:
        """Whether it is computed rectangle by rectangle."""
        return splits(self.pattern)

    @property
    def choosing(self) -> bool:
        """Whether ranks need all queries and keys, to choose sets as one process does."""
        return bool(self.pattern.selections)

    def jobs(self, rank: int) -> tuple[Job, ...]:
        """The rectangles that hold all pairs of the rank's rows, without those in which no pair is kept; its own keys
        first, then those of rank - 1, rank - 2, ..."""
        return _jobs(self, rank)

    def wanted(self, rank: int, owner: int) -> tuple[range, ...]:
        """The keys that `rank` must have of those of `owner`: in each of the owner's chunks those from the first to the
        last that a row of the rank sees."""
        if rank == owner:
            return ()
        if self.choosing:
            return self.layout.owned(owner)
        hulls = (self._hull(rank, chunk) for chunk in self.layout.owned(owner))
        return tuple(hull for hull in hulls if hull)

    def _hull(self, rank: int, chunk: range) -> range:
        if not self.split:
            last = max(rows.stop for rows in self.layout.owned(rank))
            return range(chunk.start, min(chunk.stop, last))
        keys = [job.rectangle.keys for job in self.jobs(rank) if job.rectangle.keys.start in chunk]
        return range(min((one.start for one in keys), default=0), max((one.stop for one in keys), default=0))

    def sent(self, owner: int, rank: int) -> int:
        """How many keys, each with its value, `owner` sends to `rank`."""
        return sum(map(len, self.wanted(rank, owner)))

    def queries_sent(self, owner: int, rank: int) -> int:
        """How many queries `owner` sends to `rank`."""
        return self.layout.held(owner) if self.choosing and rank != owner else 0


def splits(pattern: Pattern) -> bool:
    """Whether results over parts of the keys can be merged: no sets, a softmax, and scores that change by the distance,
    if at all, after everything that is not linear."""
    if pattern.geometry() or pattern.combine.rule not in MERGED:
        return False
    alibi = [at for at, rule in enumerate(pattern.score) if isinstance(rule, Alibi)]
    return not any(isinstance(late, Softcap) for at in alibi for late in pattern.score[at:])


@lru_cache(maxsize=4096)
def _jobs(traffic: Traffic, rank: int) -> tuple[Job, ...]:
    assert traffic.split, "only parts that can be merged are computed by themselves"
    owners = ((rank - step) % traffic.layout.ranks for step in range(traffic.layout.ranks))
    return tuple(
        Job(owner, kept)
        for owner in owners
        for keys in traffic.layout.owned(owner)
        for rows in traffic.layout.owned(rank)
        for kept in [seen(traffic.pattern, Rectangle(rows, keys), traffic.shape)]
        if kept is not None
    )
