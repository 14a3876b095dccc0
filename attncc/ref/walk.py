"""What a query tile finds in the lists of a call, key by key, in numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from attncc.ir.expr import Attribute, Member, Var, parts
from attncc.ir.selection import Geometry
from attncc.ir.text import text
from attncc.ir.tile import List, Run
from attncc.ref.evaluate import Ints, number, truth

if TYPE_CHECKING:
    from attncc.lists import Given, RowLists

KV = Var("kv")


@dataclass(frozen=True, slots=True)
class Held:
    """One head of one batch of a call: `rows` holds the rows of each list, `tokens` the numbers of each input."""

    rows: Mapping[str, tuple[Ints, ...]] = field(default_factory=dict)
    tokens: Mapping[str, Ints] = field(default_factory=dict)


#: What patterns without sets and inputs hold.
NOTHING_HELD = Held()


def held(given: Given, head: int, batch: int, q_heads: int) -> Held:
    """What one head of one batch has of what a call is given."""
    tokens = {}
    for name, numbers in given.tokens.items():
        batches, heads, _ = numbers.shape
        tokens[name] = numbers[batch if batches > 1 else 0, head * heads // q_heads].numpy().astype(np.int64)
    return Held({name: _rows(lists, head, batch, q_heads) for name, lists in given.lists.items()}, tokens)


def _rows(lists: RowLists, head: int, batch: int, q_heads: int) -> tuple[Ints, ...]:
    batches, heads, _ = lists.count.shape
    at = (batch if batches > 1 else 0, head * heads // q_heads)
    spans = zip(lists.start[at].tolist(), lists.count[at].tolist(), strict=True)
    return tuple(lists.entries[start : start + count].numpy().astype(np.int64) for start, count in spans)


def keys(of: List, mine: Held, values: Mapping[str, Ints]) -> Ints:
    """The keys of a tile's row of a list, ascending; `values` are those of the tile."""
    entries = mine.rows[of.name][_row(of.geometry, values)]
    if of.geometry.step is not None:
        return int(values["q_first"]) // of.geometry.step * of.geometry.step + entries
    return (entries[:, None] * of.geometry.size + np.arange(of.geometry.size)).ravel()


def visited(run: Run, between: Ints, lists: Mapping[str, List], mine: Held, values: Mapping[str, Ints]) -> Ints:
    """Those of the keys `between` that a run visits."""
    if run.over is not None:
        between = between[np.isin(between, keys(lists[run.over], mine, values))]
    asked: dict[str, Ints] = {**values, "kv": between, "q": values["q_first"]}
    for part in parts(run.only):
        match part:
            case Member(name, _, unit):
                entries = mine.rows[name][_row(lists[name].geometry, values)]
                sign = 1 if lists[name].geometry.step is None else -1
                asked[text(part)] = np.isin(number(unit, asked) * sign, entries).astype(np.int64)
            case Attribute(name):
                asked[text(part)] = mine.tokens[name][between]
            case _:
                pass
    return between[np.broadcast_to(truth(run.only, asked), between.shape)]


def _row(shape: Geometry, values: Mapping[str, Ints]) -> int:
    if shape.rows is None:
        return 0
    first = int(values["kv_len"]) - int(values["q_len"])
    return int(values["q_first"]) // shape.rows - first // shape.rows
