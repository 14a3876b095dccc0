"""How many keys of a list does a query tile find in a run? Those of a call, or as many as its rule can be expected to
choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, assert_never

import numpy as np
import numpy.typing as npt

from attncc.ir.expr import Q_FIRST, Q_LAST
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Shape
from attncc.ir.selection import Above, Geometry, Mass, Selection, Top
from attncc.ir.tile import List
from attncc.ref.evaluate import Ints

if TYPE_CHECKING:
    from attncc.lists import Given, RowLists

Floats = npt.NDArray[np.float64]

#: The share of the keys that is expected where a rule does not say how many it takes: that of a thin table.
SHARE: Final = 0.2
#: Documents of a packed sequence. Of n random lengths, the one that holds a random key is 2 / (n + 1) of all.
DOCUMENTS: Final = 8


def keys(
    pattern: Pattern, one: List, given: Given | None, shape: Shape, values: Mapping[str, Ints], ends: tuple[Ints, Ints]
) -> Ints:
    """Keys from the first to before the second of `ends` that lie in each tile's row of a list: [batch, q_heads,
    tiles], or what broadcasts to it; `values` are those of the tiles."""
    first, stop = ends
    if given is not None:
        return _counted(
            given.lists[one.name], one.geometry, shape, values, np.stack(_whole(first, stop, shape, values))
        )
    share = expected(pattern, one, values)
    found: Ints = np.rint(share * np.maximum(0, stop - first)).astype(np.int64)
    return found


def expected(pattern: Pattern, one: List, values: Mapping[str, Ints]) -> Floats:
    """The share of the keys a tile may see that its row of a list is expected to hold: [tiles], or one for all."""
    if one.condition is not None:
        return np.asarray(2 / (DOCUMENTS + 1))
    chosen = next((selection for selection in pattern.selections if selection.name == one.name), None)
    if chosen is None:
        return np.asarray(SHARE)
    visible = values[Q_LAST] + 1 if chosen.causal and one.geometry.step is None else values["kv_len"]
    units = np.maximum(1, -(-visible // one.geometry.size))
    return np.minimum(1.0, _taken(chosen, units) / units)


def _taken(chosen: Selection, units: Ints) -> Floats:
    """The units that a rule takes of so many; chosen distances lie together, and widening adds to their ends only."""
    share: Floats = np.multiply(SHARE, units, dtype=np.float64)
    match chosen.rule:
        case Top(int(count)):
            return np.asarray(count + chosen.widen - 1, np.float64)
        case Mass(_, least, most):
            return np.asarray(np.minimum(np.maximum(share, least), np.inf if most is None else most), np.float64)
        case Top() | Above():
            return share
        case _:
            assert_never(chosen.rule)


def _whole(first: Ints, stop: Ints, shape: Shape, values: Mapping[str, Ints]) -> tuple[Ints, Ints]:
    full = (shape.batch, shape.q_heads, values[Q_FIRST].shape[-1])
    return np.broadcast_to(first, full), np.broadcast_to(np.maximum(first, stop), full)


def _counted(lists: RowLists, geometry: Geometry, shape: Shape, values: Mapping[str, Ints], ends: Ints) -> Ints:
    batches, heads, _ = lists.count.shape
    entries, start, count = (part.cpu().numpy() for part in (lists.entries, lists.start, lists.count))
    offset, tile = shape.kv_len - shape.q_len, values[Q_FIRST]
    row = np.zeros_like(tile) if geometry.rows is None else tile // geometry.rows - offset // geometry.rows
    if geometry.step is not None:
        ends = ends - tile // geometry.step * geometry.step
    found = np.zeros(ends.shape[1:], np.int64)
    for batch, head in np.ndindex(shape.batch, shape.q_heads):
        at = (batch if batches > 1 else 0, head * heads // shape.q_heads)
        for each in np.unique(row):
            mine, begin = np.flatnonzero(row == each), int(start[*at, each])
            held = entries[begin : begin + int(count[*at, each])]
            before = [_before(held, geometry.size, end[batch, head, mine]) for end in ends]
            found[batch, head, mine] = before[1] - before[0]
    return found


def _before(entries: Ints, size: int, ends: Ints) -> Ints:
    """Keys before each of `ends` in ascending units."""
    whole = np.searchsorted(entries, ends // size)
    inside = np.searchsorted(entries, ends // size, side="right") - whole
    return whole * size + inside * (ends % size)
