"""What a call hands to a kernel besides query, key and value: lists of keys, numbers of positions and of heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class RowLists:
    """One ascending list of units for each row: of queries that share a choice, of each list head, of each batch.

    `entries` is int32 [pool]; list row [b, h, r] is entries[start : start + count] with its `start` (int64) and `count`
    (int32), both [batch or 1, list heads, rows]. Counts are the authority: what lies between rows is never read.
    Query head i uses list head i * list_heads // q_heads.

    Sets of keys: an entry u stands for the keys u * size .. u * size + size - 1 (see Geometry); those from kv_len on do
    not exist. Row r is row block (kv_len - q_len) // rows + r of absolute positions; there is one row if all queries
    share the choice.
    Sets of distances: an entry e stands for the key q // step * step + e, so it is a distance with its sign changed,
    and keys ascend; there is one row.

    `overflow` is a bool of no dimension: true if an entry had no room. Such lists are shorter than they should be.
    """

    entries: Tensor
    start: Tensor
    count: Tensor
    overflow: Tensor

    def nbytes(self) -> int:
        """Bytes that the lists occupy."""
        return sum(part.nbytes for part in (self.entries, self.start, self.count, self.overflow))


@dataclass(frozen=True, slots=True)
class Given:
    """What a kernel of a pattern with sets or inputs needs at a call, by name.

    `lists` holds those of the plan. `tokens` holds int32 [batch or 1, heads, kv_len] for inputs per token, by absolute
    position, with 1, kv_heads or q_heads heads and a contiguous last dimension. `heads` holds float32 [q_heads].
    """

    lists: Mapping[str, RowLists] = field(default_factory=dict)
    tokens: Mapping[str, Tensor] = field(default_factory=dict)
    heads: Mapping[str, Tensor] = field(default_factory=dict)


def rows_of(q_len: int, kv_len: int, rows: int | None) -> range:
    """The row blocks of absolute positions that a call has queries in."""
    if rows is None:
        return range(1)
    return range((kv_len - q_len) // rows, (kv_len - 1) // rows + 1)


def packed(chosen: Tensor, capacity: int | None = None) -> RowLists:
    """Lists of the units that `chosen`, bool [batch, heads, rows, units], is true for; compact, without gaps.

    Without `capacity` there is room for all: exactly on the CPU, where waiting costs nothing; for every unit elsewhere,
    since the host must not wait for the device. With it, what has no room is left out and `overflow` is set.
    """
    count = chosen.sum(-1, dtype=torch.int32)
    total = count.flatten().cumsum(0, dtype=torch.int64)
    start = (total - count.flatten()).view(count.shape)
    room = capacity if capacity is not None else int(total[-1]) if chosen.device.type == "cpu" else chosen.numel()
    rank = chosen.flatten().cumsum(0, dtype=torch.int64) - 1
    place = torch.where(chosen.flatten() & (rank < room), rank, room)
    unit = torch.arange(chosen.shape[-1], dtype=torch.int32, device=chosen.device).expand(chosen.shape)
    entries = torch.empty(room + 1, dtype=torch.int32, device=chosen.device).scatter_(0, place, unit.flatten())[:room]
    left = (room - start).clamp(min=0)
    return RowLists(entries, start, torch.minimum(count, left.to(torch.int32)), total[-1] > room)
