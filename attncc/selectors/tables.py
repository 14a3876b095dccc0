"""Lists of the blocks that a call's own table keeps."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from attncc.errors import BadInput
from attncc.ir.selection import Input
from attncc.lists import RowLists, packed, rows_of
from attncc.selectors.pack import joined, row_parts, shifted


def listed(declared: Input, table: Tensor, query: Tensor, key: Tensor, capacity: int | None = None) -> RowLists:
    """The lists of a set that is given: bool [batch or 1, 1, kv_heads or q_heads, row blocks, blocks of keys].

    The row blocks are those of absolute positions that the call has queries in, one if all share the choice; the blocks
    of keys are all up to kv_len, or the distances from 0 to kv_len - 1. `capacity` is that of `select`.

    Raises BadInput if the table has another shape or type.
    """
    geometry = declared.geometry
    assert geometry is not None, "only tables of blocks are sets"
    rows = rows_of(query.shape[2], key.shape[2], geometry.rows)
    units = -(-key.shape[2] // geometry.size)
    _check(declared.name, table, query, key, len(rows), units)
    if geometry.step is not None:
        return shifted(packed(table.flip(-1), capacity), 1 - key.shape[2])
    return joined(_parts(table), capacity)


def _parts(table: Tensor) -> Iterator[RowLists]:
    batch, heads, rows, units = table.shape
    for part in row_parts(range(rows), batch * heads * units):
        yield packed(table[:, :, part.start : part.stop])


def _check(name: str, table: Tensor, query: Tensor, key: Tensor, rows: int, units: int) -> None:
    (batch, q_heads), kv_heads = query.shape[:2], key.shape[1]
    kind = str(table.dtype).removeprefix("torch.")
    fits = table.dim() == 4 and table.shape[0] in (1, batch) and table.shape[1] in (1, kv_heads, q_heads)
    if not fits or kind != "bool" or table.shape[2:] != (rows, units):
        wanted = f"bool [1 or {batch}, 1, {kv_heads} or {q_heads}, {rows}, {units}]"
        raise BadInput(name, f"{kind} {list(table.shape)}", wanted)
    if table.device != query.device:
        raise BadInput(name, f"on {table.device}", f"on {query.device}, as query is")
