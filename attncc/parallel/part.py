"""Attention and its gradients over one rectangle of rows and keys, as a part of the attention over all keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from attncc import giving
from attncc.calls import State, attend
from attncc.ir.alibi import slopes
from attncc.ir.pattern import Alibi, Pattern, Scale
from attncc.ir.selection import Input
from attncc.lists import NOTHING, Given
from attncc.parallel.traffic import Traffic
from attncc.passes.rectangle import OF_KEYS, OF_ROWS, Rectangle, cut, padding
from attncc.ref import plain


@dataclass(frozen=True, slots=True)
class Part:
    """One rectangle of a call; `inputs` are those of the whole sequence."""

    traffic: Traffic
    rectangle: Rectangle
    scale: float
    inputs: Mapping[str, Tensor]

    @property
    def pattern(self) -> Pattern:
        """The pattern that keeps the pairs of the rectangle."""
        return cut(self.traffic.pattern, self.rectangle, self.traffic.shape)

    @property
    def padding(self) -> int:
        return padding(self.traffic.pattern, self.rectangle)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> State:
        """(out, lse) of the rectangle's rows over its keys."""
        keys, values = self._padded(key), self._padded(value)
        out, lse = attend(self.pattern)(query, keys, values, self.scale, self._given(keys))
        return out, lse + self._farther(lse)

    def derive(
        self, query: Tensor, key: Tensor, value: Tensor, grad_out: Tensor, lse: Tensor, inner: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of query, key and value, float32, of what the rectangle adds; lse and `inner` (that of
        `plain.backward`) are those of the attention over all keys."""
        keys, values = self._padded(key.float()), self._padded(value.float())
        call = (query.float(), keys, values, lse - self._farther(lse), self.scale, self._given(keys) or NOTHING, inner)
        grad_query, grad_key, grad_value = plain.backward(self.pattern, grad_out, None, *call)
        return grad_query, grad_key[:, :, self.padding :], grad_value[:, :, self.padding :]

    def _padded(self, tensor: Tensor) -> Tensor:
        return pad(tensor, (0, 0, self.padding, 0)) if self.padding else tensor

    def _farther(self, lse: Tensor) -> Tensor:
        """What every score of a row changes by since the rows lie farther from the keys than the call counts:
        [q_heads, 1]."""
        change = torch.zeros(lse.shape[1], 1, device=lse.device)
        for rule in self.pattern.score:
            if isinstance(rule, Alibi):
                steep = torch.tensor(slopes(lse.shape[1]), dtype=torch.float32, device=lse.device)
                change = change - steep[:, None] * self.rectangle.distance
            elif isinstance(rule, Scale):
                change = change * rule.factor
        return change

    def _given(self, keys: Tensor) -> Given | None:
        """The numbers of the rectangle's positions, as its pattern asks for them."""
        if not self.pattern.inputs:
            return None
        count = keys.shape[2]
        asked = {one.name: self._numbers(one, count, keys.device) for one in self.pattern.inputs}
        return giving.given(self.pattern, {}, asked, len(self.rectangle.rows), count)

    def _numbers(self, one: Input, count: int, device: torch.device) -> Tensor:
        rows, keys = self.rectangle.rows, self.rectangle.keys
        places = {OF_ROWS.format(name): (name, rows.stop) for name in self.inputs}
        places |= {OF_KEYS.format(name): (name, keys.stop) for name in self.inputs}
        name, stop = places[one.name]
        # Before the first position there are only keys that are padding, and rows that do not exist.
        return self.inputs[name][..., torch.arange(stop - count, stop, device=device).clamp(min=0)]
