"""Keys and values on their way between ranks, while something else is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch import distributed as dist

from attncc.calls import State
from attncc.dispatch import Gradients
from attncc.parallel.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Held:
    """Keys and values of one owner that are here, [batch, kv_heads, len, head_dim], perhaps none; `ranges` are their
    positions."""

    owner: int
    ranges: Sequence[range]
    keys: Tensor
    values: Tensor

    def of(self, positions: range) -> slice:
        """Where `positions` lie along the length."""
        before = 0
        for one in self.ranges:
            if one.start <= positions.start and positions.stop <= one.stop:
                return slice(before + positions.start - one.start, before + positions.stop - one.start)
            before += len(one)
        raise AssertionError(f"rank {self.owner} was not asked for the keys {positions.start} to {positions.stop}")


#: Gradients of query, key and value, like them, from query, own keys, (out, lse) and the gradients of out and of lse.
Derive: TypeAlias = Callable[[Tensor, Held, State, Tensor, Tensor | None], Gradients]


@dataclass(frozen=True, slots=True)
class Swap:
    """Something on its way to one rank, and something on its way from another, each perhaps nothing."""

    works: Sequence[dist.Work]
    sent: Tensor | None
    room: Tensor | None

    def wait(self) -> Tensor | None:
        """What has arrived; for GPUs, once the work that is launched from here on is reached."""
        for work in self.works:
            work.wait()
        return self.room


@dataclass(frozen=True, slots=True)
class Peers:
    """The ranks of a group, seen from one of them. At step s each sends to the rank s behind it in the ring, and gets
    from the one s before it; what it gets comes straight from its owner."""

    traffic: Traffic
    rank: int
    group: dist.ProcessGroup | None

    @property
    def steps(self) -> range:
        return range(1, self.traffic.layout.ranks)

    def before(self, step: int) -> int:
        """The rank that sends to this one at a step."""
        return (self.rank - step) % self.traffic.layout.ranks

    def behind(self, step: int) -> int:
        """The rank that this one sends to at a step."""
        return (self.rank + step) % self.traffic.layout.ranks

    def swap(self, to: int, sent: Tensor | None, source: int, room: Tensor | None) -> Swap:
        """Sends `sent`, contiguous, to one rank while `room` is filled by another; None is not sent."""
        wanted = [(dist.isend, sent, to), (dist.irecv, room, source)]
        ops = [
            dist.P2POp(op, tensor, group=self.group, group_peer=peer)
            for op, tensor, peer in wanted
            if tensor is not None
        ]
        return Swap(dist.batch_isend_irecv(ops) if ops else (), sent, room)

    def arriving(self, own: Held, at_once: bool) -> Iterator[Held]:
        """The rank's own keys, then what it wants of each other rank, perhaps nothing, in the order of steps. Those of
        the next owner are on their way while the caller computes with the ones before; all of them are from the start
        if `at_once`."""
        waiting = deque(self._posted(own, step) for step in (self.steps if at_once else self.steps[:1]))
        yield own
        for step in self.steps:
            arrived = waiting.popleft().wait()
            if not at_once and step + 1 in self.steps:
                waiting.append(self._posted(own, step + 1))
            owner, nothing = self.before(step), own.keys[:, :, :0]
            keys, values = (nothing, nothing) if arrived is None else (arrived[0], arrived[1])
            yield Held(owner, self.traffic.wanted(self.rank, owner), keys, values)

    def returned(self, own: Held, owner: int, grads: Tensor) -> Swap:
        """Sends the gradients of an owner's keys and values to it, float32 [2, batch, kv_heads, len, head_dim], in the
        type of keys, and gets those of the rank's own that another rank has."""
        step = (self.rank - owner) % self.traffic.layout.ranks
        sent = grads.to(own.keys.dtype) if grads.numel() else None
        other = self.behind(step)
        return self.swap(owner, sent, other, self._room(own, self.traffic.sent(self.rank, other)))

    def add(self, total: Tensor, own: Held, owner: int, swap: Swap) -> None:
        """Adds what `returned` gets to the gradients of the rank's own keys and values."""
        arrived, before = swap.wait(), 0
        if arrived is None:
            return
        for one in self.traffic.wanted(self.behind((self.rank - owner) % self.traffic.layout.ranks), self.rank):
            total[:, :, :, own.of(one)] += arrived[:, :, :, before : before + len(one)]
            before += len(one)

    def _posted(self, own: Held, step: int) -> Swap:
        to, source = self.behind(step), self.before(step)
        room = self._room(own, self.traffic.sent(source, self.rank))
        return self.swap(to, _packed(own, self.traffic.wanted(to, self.rank)), source, room)

    def _room(self, own: Held, count: int) -> Tensor | None:
        """Room for so many keys and values, [2, batch, kv_heads, count, head_dim]."""
        batch, kv_heads, _, head_dim = own.keys.shape
        return own.keys.new_empty(2, batch, kv_heads, count, head_dim) if count else None


def _packed(own: Held, wanted: Sequence[range]) -> Tensor | None:
    """Keys and values of some positions, in one piece: [2, batch, kv_heads, len, head_dim]."""
    if not wanted:
        return None
    return torch.stack([torch.cat([side[:, :, own.of(one)] for one in wanted], 2) for side in (own.keys, own.values)])
