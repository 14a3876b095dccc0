"""Lists of the blocks of keys that may hold a key for which a condition on inputs per token is true in a row block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from attncc.ir.expr import Attribute, BoolExpr, IntExpr, Param, Position, Var, parts
from attncc.ir.tile import List
from attncc.lists import RowLists, packed, rows_of
from attncc.selectors.blocks import by_block
from attncc.selectors.intervals import Interval, Known, truth
from attncc.selectors.pack import joined, row_parts


def touched(
    wanted: List,
    params: Mapping[str, int],
    tokens: Mapping[str, Tensor],
    q_len: int,
    kv_len: int,
    capacity: int | None = None,
) -> RowLists:
    """For each row block, the units of keys that may hold a key for which `wanted.condition` is true.

    tokens are int32 [batch or 1, heads, kv_len], as in `Given`. The smallest and largest number of a row block and of a
    unit decide, so the lists may hold more than they must; for `doc[q] == doc[kv]` and numbers that do not descend,
    they hold exactly the units with such a key. `capacity` is that of `select`.
    """
    assert wanted.condition is not None, "a list of a condition"
    call = _Call(wanted, wanted.condition, params, tokens, q_len, kv_len)
    return joined(call.lists(), capacity)


@dataclass(frozen=True, slots=True)
class _Call:
    wanted: List
    condition: BoolExpr
    params: Mapping[str, int]
    tokens: Mapping[str, Tensor]
    q_len: int
    kv_len: int

    def lists(self) -> Iterator[RowLists]:
        size = self.wanted.geometry.size
        rows, units = rows_of(self.q_len, self.kv_len, self.wanted.geometry.rows), -(-self.kv_len // size)
        asked = {part for part in parts(self.condition) if isinstance(part, Attribute)}
        assert asked, "the condition is on inputs"
        tensors = [self.tokens[one.name] for one in asked]
        batch, heads = max(one.shape[0] for one in tensors), max(one.shape[1] for one in tensors)
        known = self.constants(tensors[0].device) | self.positions(tensors[0].device)
        for one in asked:
            of_head = self.tokens[one.name].repeat_interleave(heads // self.tokens[one.name].shape[1], 1)
            known[one] = self.extremes(of_head, one.position)
        for part in row_parts(rows, batch * heads * units):
            here = slice(part.start - rows.start, part.stop - rows.start)
            some = {one: _part(interval, here) for one, interval in known.items()}
            may = truth(self.condition, Known(some, tensors[0].device)).may
            yield packed(may.expand(batch, heads, len(part), units))

    def constants(self, device: torch.device) -> dict[IntExpr, Interval]:
        fixed: dict[IntExpr, int] = {Param(name): value for name, value in self.params.items()}
        fixed |= {Var("q_len"): self.q_len, Var("kv_len"): self.kv_len}
        numbers = {one: torch.full((1, 1, 1, 1), value, device=device) for one, value in fixed.items()}
        return {one: Interval(value, value) for one, value in numbers.items()}

    def positions(self, device: torch.device) -> dict[IntExpr, Interval]:
        kv = torch.arange(self.kv_len, device=device)
        q = torch.arange(self.q_len, device=device) + (self.kv_len - self.q_len)
        return {Var("q"): self.by_rows(q[None, None]), Var("kv"): self.by_units(kv[None, None])}

    def extremes(self, numbers: Tensor, position: Position) -> Interval:
        """Of the numbers [batch, heads, kv_len] at the positions of queries or of keys."""
        if position == "kv":
            return self.by_units(numbers)
        first = self.kv_len - self.q_len
        # Queries before the first key are asked as if they stood there.
        early = numbers[..., :1].expand(*numbers.shape[:-1], max(0, -first))
        return self.by_rows(torch.cat((early, numbers[..., max(0, first) :]), -1))

    def by_rows(self, numbers: Tensor) -> Interval:
        """[batch, heads, q_len] as intervals [batch, heads, row blocks, 1]."""
        rows, first = self.wanted.geometry.rows, self.kv_len - self.q_len
        return _interval(numbers, *((0, self.q_len) if rows is None else (first, rows)))

    def by_units(self, numbers: Tensor) -> Interval:
        """[batch, heads, kv_len] as intervals [batch, heads, 1, units]."""
        found = _interval(numbers, 0, self.wanted.geometry.size)
        return Interval(found.least.transpose(-1, -2), found.most.transpose(-1, -2))


def _interval(numbers: Tensor, first: int, size: int) -> Interval:
    wide = numbers.long()[..., None]
    return Interval(
        by_block(wide, first, size, lambda block: block.amin(-2)),
        by_block(wide, first, size, lambda block: block.amax(-2)),
    )


def _part(interval: Interval, rows: slice) -> Interval:
    if interval.least.shape[-2] == 1:
        return interval
    return Interval(interval.least[:, :, rows], interval.most[:, :, rows])
