"""How rows are taken a part at a time, and how the lists of the parts become one, in no more room than there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from attncc.lists import RowLists

#: Units of all rows that are chosen among at a time: 16 MiB of scores in float32.
MOST_UNITS = 2**22


def row_parts(rows: range, units_per_row: int) -> Iterator[range]:
    """`rows` in parts of at most MOST_UNITS units, of all batches and heads together, but one row at least."""
    step = max(1, MOST_UNITS // units_per_row)
    for start in range(rows.start, rows.stop, step):
        yield range(start, min(rows.stop, start + step))


def joined(parts: Iterable[RowLists], capacity: int | None) -> RowLists:
    """The rows of all parts, one part after the other; with a `capacity`, in a pool of exactly so many entries.

    What has no room there is left out, and `overflow` is set. The host does not wait for the device.
    """
    if capacity is None:
        return _side_by_side(list(parts))
    whole: RowLists | None = None
    for part in parts:
        whole = fitted(part if whole is None else _side_by_side([whole, part]), capacity)
    assert whole is not None, "a call has rows"
    return whole


def fitted(lists: RowLists, capacity: int) -> RowLists:
    """The same lists without gaps, in a pool of `capacity` entries; the last ones are left out if need be."""
    count = lists.count.flatten().long()
    stop = count.cumsum(0)
    kept = torch.minimum(count, (capacity - stop + count).clamp(min=0))
    start = kept.cumsum(0) - kept
    unused = capacity - kept.sum(0, keepdim=True)
    row = torch.repeat_interleave(torch.cat((kept, unused)), output_size=capacity)
    # What is not used copies the first entry.
    shift = torch.cat((lists.start.flatten() - start, torch.zeros_like(unused)))
    used = row < kept.shape[0]
    source = (torch.arange(capacity, device=row.device) + shift[row]) * used
    pool = lists.entries if lists.entries.shape[0] else lists.entries.new_zeros(1)
    shape = lists.count.shape
    overflow = lists.overflow | (stop[-1] > capacity)
    return RowLists(pool[source], start.view(shape), kept.int().view(shape), overflow)


def shifted(lists: RowLists, by: int) -> RowLists:
    """`lists` with `by` added to every entry."""
    return RowLists(lists.entries + by, lists.start, lists.count, lists.overflow)


def widened(chosen: Tensor, widen: int) -> Tensor:
    """The offsets of chosen distances: bool [..., kv_len + widen - 1] from bool [..., kv_len].

    Place i stands for the entry e = i - (kv_len - 1) of a list of distances; a distance d sets e = -d, ...,
    -d + widen - 1.
    """
    many = torch.nn.functional.pad(chosen.flip(-1), (widen, widen - 1)).cumsum(-1, dtype=torch.int32)
    return many[..., widen:] > many[..., :-widen]


def _side_by_side(parts: list[RowLists]) -> RowLists:
    if len(parts) == 1:
        return parts[0]
    starts, before = [], 0
    for part in parts:
        starts.append(part.start + before)
        before += part.entries.shape[0]
    overflow = torch.stack([part.overflow for part in parts]).any()
    entries = torch.cat([part.entries for part in parts])
    return RowLists(entries, torch.cat(starts, 2), torch.cat([part.count for part in parts], 2), overflow)
