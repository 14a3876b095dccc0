"""How a call chooses its sets: scores of its rows, a part at a time, heads together, the rule, lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from attncc.errors import BadInput
from attncc.ir.selection import Mass, Selection, Top
from attncc.lists import RowLists, packed
from attncc.selectors.catalog import load
from attncc.selectors.eligible import forced, most_forced, reachable
from attncc.selectors.heads import largest, list_heads, together
from attncc.selectors.pack import joined, row_parts, shifted, widened
from attncc.selectors.rules import taken
from attncc.selectors.score import Call, Scores


def select(
    selection: Selection,
    query: Tensor,
    key: Tensor,
    scale: float,
    inputs: Mapping[str, Tensor],
    capacity: int | None = None,
) -> RowLists:
    """The lists that `selection` chooses for a call; see `Call` for its tensors.

    With a `capacity` the pool has exactly so many entries, and lists that need more are cut and marked. Without it,
    there is room for all: on the CPU without waste; elsewhere as many as the rule can take, since the host does not
    wait.
    """
    call = Call(query, key, scale, selection.geometry, selection.causal, dict(selection.options), inputs)
    with torch.no_grad():
        choice = _Choice(selection, call, load(selection.score).device(call))
        if selection.geometry.step is not None:
            return choice.offsets(capacity)
        return joined(choice.parts(), capacity)


@dataclass(frozen=True, slots=True)
class _Choice:
    selection: Selection
    call: Call
    scores: Scores

    def chosen(self, part: range) -> Tensor:
        """Which units the row blocks of `part` choose: bool [batch, list heads, rows, units]."""
        call, selection = self.call, self.selection
        kv_heads, device = call.key.shape[1], call.query.device
        score = together(self.scores(part), selection.heads, kv_heads)
        inside = forced(call, part, selection.always, device)
        match selection.rule:
            case Top(str() as name):
                count = largest(_per_head(call, name), selection.heads, kv_heads)
                return taken(score, reachable(call, part, device), inside, selection.rule, count)
            case rule:
                return taken(score, reachable(call, part, device), inside, rule, None)

    def parts(self) -> Iterator[RowLists]:
        """The lists of keys of all row blocks, a part at a time."""
        units = self.call.query.shape[0] * self.call.query.shape[1] * self.call.units
        for part in row_parts(self.call.rows, units):
            yield packed(self.chosen(part), self.room(part))

    def offsets(self, capacity: int | None) -> RowLists:
        """The lists of distances, widened."""
        offset = widened(self.chosen(self.call.rows), self.selection.widen)
        return shifted(packed(offset, capacity), 1 - self.call.kv_len)

    def room(self, part: range) -> int | None:
        """How many entries the lists of `part` may need, where they cannot be counted without waiting."""
        call, host = self.call, torch.device("cpu")
        if call.query.device == host:
            return None
        most = reachable(call, part, host)
        match self.selection.rule:
            case Top(int() as count) | Mass(most=int() as count):
                bound = most_forced(call, part, self.selection.always).clamp(min=count)
                most = torch.minimum(most, bound)
            case _:
                pass
        owners = call.query.shape[0] * list_heads(self.selection.heads, call.query.shape[1], call.key.shape[1])
        return owners * int(most.sum())


def _per_head(call: Call, name: str) -> Tensor:
    """The input `name`, a number for each query head."""
    numbers, q_heads = call.inputs[name], call.query.shape[1]
    if numbers.shape != (q_heads,):
        raise BadInput(name, f"of shape {list(numbers.shape)}", f"[{q_heads}], a number for each query head")
    return numbers
