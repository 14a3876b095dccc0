"""Which sequences lie in the rows of a batch, and where?

`tokens`, int32 [batch, kv_len], says what lies in the keys: a number from 1 on for each sequence of a row, PADDING, or
UNUSED for what is behind the last query, the same in all rows. The queries are the last positions before that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from attncc.errors import MaskNotServed

#: UNKNOWN is for tokens that see what no sequence by itself would show them.
PADDING, UNUSED, UNKNOWN = 0, -1, -2

#: Positions side by side, or one by one.
Places: TypeAlias = "slice | Tensor"


@dataclass(frozen=True, slots=True)
class Part:
    """One sequence: rows of the batch that hold it alike, its queries, its keys."""

    batch: slice
    queries: Places
    keys: Places


def parts(tokens: Tensor, q_len: int) -> Iterator[Part]:
    """The sequences that have a query among the last `q_len` positions. Raises MaskNotServed."""
    rows = tokens.to("cpu", torch.int64)
    if UNKNOWN in rows:
        raise MaskNotServed("some tokens see later ones, as those of an image do, and the model is compiled")
    stop = int((rows[0] != UNUSED).sum())
    first, last = 0, len(rows)
    while first < last:
        after = first + 1
        while after < last and torch.equal(rows[first], rows[after]):
            after += 1
        yield from _of_row(rows[first, :stop], slice(first, after), stop - q_len)
        first = after


def _of_row(row: Tensor, batch: slice, q_first: int) -> Iterator[Part]:
    for number in row[q_first:].unique().tolist():
        if number != PADDING:
            keys = (row == number).nonzero().flatten()
            yield Part(batch, _places(keys[keys >= q_first] - q_first), _places(keys))


def _places(positions: Tensor) -> Places:
    first, last = int(positions[0]), int(positions[-1])
    return slice(first, last + 1) if last - first + 1 == len(positions) else positions
