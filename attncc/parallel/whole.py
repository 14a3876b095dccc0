"""Attention of patterns whose parts cannot be merged: all keys up to a rank's last row come together first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from attncc import giving
from attncc.calls import State, attend
from attncc.dispatch import Gradients
from attncc.ir.pattern import Pattern
from attncc.lists import Given, RowLists, rows_of
from attncc.parallel.exchange import Derive, Held, Peers
from attncc.passes.rectangle import sized
from attncc.ref import plain


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of a rank's rows: where the rank has them, up to which key they see, what their kernel is given."""

    here: slice
    stop: int
    given: Given


@dataclass(frozen=True, slots=True)
class Whole:
    """One call on one rank; `inputs` are those of the whole sequence."""

    peers: Peers
    scale: float
    inputs: Mapping[str, Tensor]

    @property
    def pattern(self) -> Pattern:
        """What a call for rows and keys from the beginning on computes as if it were the whole call."""
        return sized(self.peers.traffic.pattern, self.peers.traffic.shape)

    def forward(self, query: Tensor, own: Held) -> tuple[State, Derive]:
        """(out, lse) of the rank's rows, out like query, lse float32; and how their gradients are found."""
        held = tuple(self.peers.arriving(own, at_once=True))
        keys = _together([one.ranges for one in held], [one.keys for one in held])
        values = _together([one.ranges for one in held], [one.values for one in held])
        chunks = tuple(self._chunks(self._chosen(query, own, keys)))
        found = [
            attend(self.pattern)(
                query[:, :, one.here], keys[:, :, : one.stop], values[:, :, : one.stop], self.scale, one.given
            )
            for one in chunks
        ]
        state = torch.cat([out for out, _ in found], 2), torch.cat([lse for _, lse in found], 2)
        return state, partial(self.backward, keys, values, chunks)

    def backward(
        self,
        keys: Tensor,
        values: Tensor,
        chunks: Sequence[Chunk],
        query: Tensor,
        own: Held,
        state: State,
        grad_out: Tensor,
        grad_lse: Tensor | None,
    ) -> Gradients:
        """Gradients of the rank's query, key and value, like them."""
        grad_query = torch.empty_like(query)
        grads = keys.new_zeros(2, *keys.shape, dtype=torch.float32)
        for one in chunks:
            found = plain.backward(
                self.pattern,
                grad_out[:, :, one.here],
                None if grad_lse is None else grad_lse[:, :, one.here],
                query[:, :, one.here].float(),
                keys[:, :, : one.stop].float(),
                values[:, :, : one.stop].float(),
                state[1][:, :, one.here],
                self.scale,
                one.given,
            )
            grad_query[:, :, one.here] = found[0].to(query.dtype)
            grads[0][:, :, : one.stop] += found[1]
            grads[1][:, :, : one.stop] += found[2]
        return grad_query, *self._returned(own, grads)

    def _returned(self, own: Held, grads: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of the rank's own keys and values, those that others found included."""
        traffic, rank = self.peers.traffic, self.peers.rank
        swaps = {
            owner: self.peers.returned(own, owner, _of(grads, traffic.wanted(rank, owner)))
            for owner in map(self.peers.before, self.peers.steps)
        }
        total = _of(grads, own.ranges)
        for owner, swap in swaps.items():
            self.peers.add(total, own, owner, swap)
        return total[0].to(own.keys.dtype), total[1].to(own.values.dtype)

    def _chunks(self, lists: Mapping[str, RowLists]) -> Iterator[Chunk]:
        layout, rank = self.peers.traffic.layout, self.peers.rank
        for chunk in layout.owned(rank):
            mine = {name: self._rows(name, one, chunk) for name, one in lists.items()}
            tokens = {one.name for one in self.pattern.inputs if one.per == "token"}
            seen = {name: one[..., : chunk.stop] if name in tokens else one for name, one in self.inputs.items()}
            places = layout.places(rank, chunk)
            given = giving.given(self.pattern, mine, seen, len(chunk), chunk.stop)
            yield Chunk(slice(places.start, places.stop), chunk.stop, given)

    def _rows(self, name: str, lists: RowLists, chunk: range) -> RowLists:
        """The rows of lists for the whole sequence that are those of a chunk."""
        rows = rows_of(len(chunk), chunk.stop, self.pattern.geometry()[name].rows)
        here = slice(rows.start, rows.stop)
        return replace(lists, start=lists.start[:, :, here], count=lists.count[:, :, here])

    def _chosen(self, query: Tensor, own: Held, keys: Tensor) -> Mapping[str, RowLists]:
        """The sets of the whole call, chosen on every rank as one process chooses them."""
        traffic = self.peers.traffic
        if not self.pattern.geometry():
            return {}
        every = self._queries(query) if traffic.choosing else _of_length(query, traffic.shape.q_len)
        whole = keys if traffic.choosing else _of_length(keys, traffic.shape.kv_len)
        return giving.chosen(traffic.pattern, every, whole, self.scale, self.inputs)

    def _queries(self, query: Tensor) -> Tensor:
        """The queries of all ranks, in the order of the sequence."""
        layout, mine = self.peers.traffic.layout, query.contiguous()
        batch, heads, _, head_dim = query.shape
        swaps = []
        for step in self.peers.steps:
            room = query.new_empty(batch, heads, layout.held(self.peers.before(step)), head_dim)
            swaps.append(self.peers.swap(self.peers.behind(step), mine, self.peers.before(step), room))
        owners = [self.peers.rank, *map(self.peers.before, self.peers.steps)]
        arrived = [mine, *(found for swap in swaps for found in [swap.wait()] if found is not None)]
        return _together([layout.owned(owner) for owner in owners], arrived)


def _of_length(tensor: Tensor, length: int) -> Tensor:
    """A tensor for its shape only, which occupies no memory."""
    batch, heads, _, head_dim = tensor.shape
    return tensor.new_empty(1).expand(batch, heads, length, head_dim)


def _together(ranges: Sequence[Sequence[range]], parts: Sequence[Tensor]) -> Tensor:
    """Parts of a sequence, from its beginning on without gaps, as one; part i holds the positions ranges[i]."""
    pieces = {
        one.start: piece
        for each, part in zip(ranges, parts, strict=True)
        for one, piece in zip(each, part.split([len(one) for one in each], 2), strict=True)
    }
    return torch.cat([pieces[first] for first in sorted(pieces)], 2)


def _of(grads: Tensor, ranges: Sequence[range]) -> Tensor:
    """Some positions of [2, batch, kv_heads, len, head_dim]."""
    return torch.cat([grads[:, :, :, :0], *(grads[:, :, :, one.start : one.stop] for one in ranges)], 3)
