"""Attention of patterns whose parts can be merged: rectangle by rectangle, as keys arrive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from attncc.calls import State
from attncc.dispatch import Gradients
from attncc.parallel.exchange import Derive, Held, Peers, Swap
from attncc.parallel.part import Part


@dataclass(frozen=True, slots=True)
class Merged:
    """One call on one rank. `inputs` are those of the whole sequence; where `at_once`, keys are asked for all at once
    and kept for the way back, else owner by owner, and again on the way back."""

    peers: Peers
    scale: float
    inputs: Mapping[str, Tensor]
    at_once: bool

    def forward(self, query: Tensor, own: Held) -> tuple[State, Derive]:
        """(out, lse) of the rank's rows, out like query, lse float32; and how their gradients are found."""
        out = query.new_zeros(query.shape, dtype=torch.float32)
        lse = self._begun(query)
        kept: list[Held] = []
        for held in self.peers.arriving(own, self.at_once):
            kept += [held] if self.at_once else []
            for part, here, there in self._parts(held):
                found = part.attend(query[:, :, here], held.keys[:, :, there], held.values[:, :, there])
                _merge(out[:, :, here], lse[:, :, here], found)
        # The rank's own keys are saved anyway, and are not kept here, where nobody would let them go.
        return (out.to(query.dtype), lse.float()), partial(self.backward, kept[1:])

    def backward(
        self,
        kept: Sequence[Held],
        query: Tensor,
        own: Held,
        state: State,
        grad_out: Tensor,
        grad_lse: Tensor | None,
    ) -> Gradients:
        """Gradients of the rank's query, key and value, like them. `kept` are the keys of other ranks, if they were."""
        out, lse = state
        inner = (out.float() * grad_out.float()).sum(-1)
        inner = inner if grad_lse is None else inner - grad_lse
        grad_query = query.new_zeros(query.shape, dtype=torch.float32)
        total = own.keys.new_zeros(2, *own.keys.shape, dtype=torch.float32)
        returning: tuple[int, Swap] | None = None
        for held in (own, *kept) if kept else self.peers.arriving(own, at_once=False):
            grads = total if held is own else total.new_zeros(2, *held.keys.shape)
            for part, here, there in self._parts(held):
                tensors = (query[:, :, here], held.keys[:, :, there], held.values[:, :, there])
                found = part.derive(*tensors, grad_out[:, :, here], lse[:, :, here], inner[:, :, here])
                grad_query[:, :, here] += found[0]
                grads[0][:, :, there] += found[1]
                grads[1][:, :, there] += found[2]
            if returning is not None:
                self.peers.add(total, own, *returning)
            returning = None if held is own else (held.owner, self.peers.returned(own, held.owner, grads))
        if returning is not None:
            self.peers.add(total, own, *returning)
        return grad_query.to(query.dtype), total[0].to(own.keys.dtype), total[1].to(own.values.dtype)

    def _parts(self, held: Held) -> Iterator[tuple[Part, slice, slice]]:
        """The rectangles over some keys: each with where the rank has its rows, and where its keys are held."""
        traffic, rank = self.peers.traffic, self.peers.rank
        for job in traffic.jobs(rank):
            if job.owner == held.owner:
                rows = traffic.layout.places(rank, job.rectangle.rows)
                part = Part(traffic, job.rectangle, self.scale, self.inputs)
                yield part, slice(rows.start, rows.stop), held.of(job.rectangle.keys)

    def _begun(self, query: Tensor) -> Tensor:
        """The lse of rows that have met no key yet, float64: that of a sink, if there is one, to which no value
        belongs."""
        begun = query.new_full(query.shape[:3], -torch.inf, dtype=torch.float64)
        for name, value in self.peers.traffic.pattern.combine.options:
            assert isinstance(value, str), f"of the rules that can be merged one has an option, an input, not {name}"
            begun = self.inputs[value].double()[:, None].expand(begun.shape).contiguous()
        return begun


def _merge(out: Tensor, lse: Tensor, found: State) -> None:
    """Brings out, float32, and lse, float64, up to date with what was found over further keys.

    The keys found weigh exp(lse') / (exp(lse) + exp(lse')), and where there are no keys at all, nothing. With an lse of
    float32 every merge would round it, and each of many merges would cost as much as the kernels' own rounding.
    """
    share = torch.sigmoid(found[1] - lse).nan_to_num(nan=0.0).float()
    out.lerp_(found[0].float(), share.unsqueeze(-1))
    lse.copy_(torch.logaddexp(lse, found[1].double()))
