"""Calls to select for: small ones of every kind, and their lists as truth values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from attncc.ir.selection import Always, Geometry, Heads, OptionValue, Rule, Selection, Top
from attncc.lists import RowLists
from attncc.selectors.catalog import load, options
from attncc.selectors.score import Call

BLOCKS = Geometry(8, 16, None)
KEYS = Geometry(1, None, None)
DISTANCES = Geometry(1, None, 16)
TWO, NOTHING = Top(2), Always()


@dataclass(frozen=True, slots=True)
class Sizes:
    q_len: int
    kv_len: int
    batch: int = 1
    q_heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16


#: Whole, ragged, a later part of a prompt, one query, more queries than keys, fewer keys than a unit holds.
SIZES = (
    Sizes(32, 32, q_heads=2),
    Sizes(27, 27, batch=2, q_heads=2, kv_heads=1),
    Sizes(13, 59),
    Sizes(1, 61, q_heads=2),
    Sizes(35, 20, q_heads=3, kv_heads=1),
    Sizes(5, 5),
    Sizes(1, 1),
)


def tensors(sizes: Sizes, dtype: torch.dtype = torch.float32, seed: int = 0) -> tuple[Tensor, Tensor]:
    """query and key of these sizes, in a layout that is not contiguous."""
    drawn = torch.Generator().manual_seed(seed)
    query = torch.randn(sizes.batch, sizes.q_len, sizes.q_heads, sizes.head_dim, generator=drawn)
    key = torch.randn(sizes.batch, sizes.kv_len, sizes.kv_heads, sizes.head_dim, generator=drawn)
    return query.transpose(1, 2).to(dtype), key.transpose(1, 2).to(dtype)


def call_of(
    name: str, query: Tensor, key: Tensor, geometry: Geometry, causal: bool = True, **given: OptionValue
) -> Call:
    """A call to score, with options of `name` that are not given at their defaults."""
    known = {option: value for option, value in options(name).items() if value is not None}
    return Call(query, key, query.shape[-1] ** -0.5, geometry, causal, known | given, {})


def selection_of(
    name: str,
    geometry: Geometry,
    rule: Rule = TWO,
    given: Mapping[str, OptionValue] | None = None,
    always: Always = NOTHING,
    heads: Heads = "each",
    causal: bool = True,
    widen: int = 1,
) -> Selection:
    """A selection by the score `name`, with options that are not given at their defaults."""
    known = {option: value for option, value in options(name).items() if value is not None}
    every = tuple((known | dict(given or {})).items())
    return Selection("chosen", geometry, name, every, rule, always, heads, causal, widen)


def both(name: str, call: Call) -> tuple[Tensor, Tensor]:
    """The device form and the plain form of the scores of a call."""
    score = load(name)
    return score.device(call)(call.rows), score.plain(call)(call.rows)


def seen(call: Call) -> Tensor:
    """bool [rows, units]: where scores matter."""
    if not call.causal or call.geometry.rows is None:
        return torch.ones(len(call.rows), call.units, dtype=torch.bool)
    last = torch.tensor(call.rows)[:, None] * call.geometry.rows + call.geometry.rows - 1
    return torch.arange(call.units) * call.geometry.size <= last


def members(lists: RowLists, units: int, first: int = 0) -> Tensor:
    """bool [batch, heads, rows, units] of lists whose entries are from `first` on; they must ascend."""
    found = torch.zeros(*lists.count.shape, units, dtype=torch.bool)
    for place in torch.cartesian_prod(*map(torch.arange, lists.count.shape)).tolist():
        at = tuple(place)
        start, count = int(lists.start[at]), int(lists.count[at])
        entries = lists.entries[start : start + count].tolist()
        assert entries == sorted(set(entries)), "ascending and unique"
        assert len(entries) == count, "inside the pool"
        for entry in entries:
            assert 0 <= entry - first < units, "in bounds"
            found[(*at, entry - first)] = True
    return found
