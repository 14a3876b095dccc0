"""Do plans with sets and inputs keep exactly what the mask keeps, every pair once, and visit no key in vain?"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncc import passes
from attncc.ir.pattern import Pattern
from attncc.ir.tile import List, TilePlan, Tiling
from attncc.lists import Given, RowLists, packed, rows_of
from attncc.ref import dense, interp, walk
from attncc.spec import load
from attncc.spec.lower import lower

#: Masks over the sets and inputs of NAMES.
MASKS = (
    "kv <= q and (kv in columns or q // 8 * 8 - kv in diagonals)",
    "kv <= q and (q // 16, kv // 8) in blocks",
    "kv <= q and (kv < sink or q - kv < window or (q // 16, kv // 8) in blocks)",
    "kv <= q and (kv_len < edge or (q // 16, kv // 8) in blocks)",
    "(q // 16, kv // 8) in blocks or (q // 8, kv // 4) in pages and kv <= q",
    "kv <= q and (kv in columns or (q // 8, kv // 4) in pages or q // 8 * 8 - kv in diagonals)",
    "kv <= q and not kv in columns",
    "kv <= q and (q // 16, kv // 8) in blocks and kv not in columns",
    "kv <= q and doc[q] == doc[kv]",
    "kv <= q and (kv < sink or doc[q] == doc[kv] and ok[kv] != 0)",
    "kv <= q and (head < 1 and (kv in columns or q - kv < window) or head >= 1 and (q // 16, kv // 8) in blocks)",
    "kv <= q and doc[q] == doc[kv] and (kv in columns or (q // 16, kv // 8) in blocks)",
    "abs(q - kv) < window or kv in columns or (q // 8, kv // 4) in pages",
    "doc[q] == doc[kv] and (kv <= q or ok[kv] == 1)",
    "kv <= q and (ok[kv] == 0 or doc[q] == 2 or doc[q] == doc[kv])",
)
NAMES = ("doc", "ok", "blocks", "columns", "diagonals", "pages")


def pattern(mask: str) -> Pattern:
    kinds = {
        "doc": "token",
        "ok": "token",
        "blocks": "block",
        "columns": "block",
        "diagonals": "block",
        "pages": "block",
    }
    inputs = {name: kind for name, kind in kinds.items() if name in mask}
    params = {"sink": 5, "window": 9, "edge": 40}
    return lower(load.from_dict({"pattern": "drawn", "params": params, "inputs": inputs, "mask": mask}))


def drawn(bound: Pattern, q_len: int, kv_len: int, seed: int) -> Given:
    """Random sets and inputs of a call with one batch and two heads."""
    rng = torch.Generator().manual_seed(seed)
    lists: dict[str, RowLists] = {}
    for name, shape in bound.geometry().items():
        rows = len(rows_of(q_len, kv_len, shape.rows))
        units = kv_len + 8 if shape.step else -(-kv_len // shape.size)
        chosen = torch.rand(1, 2, rows, units, generator=rng) < torch.rand((), generator=rng)
        found = packed(chosen)
        # Distances with their sign changed: from -(kv_len - 1) to 8.
        lists[name] = found if shape.step is None else RowLists(found.entries - (kv_len - 1), *parts_after(found))
    tokens = [one.name for one in bound.inputs if one.per == "token"]
    numbers = torch.randint(0, 3, (len(tokens), 1, 1, kv_len), generator=rng, dtype=torch.int32)
    return Given(lists, dict(zip(tokens, numbers, strict=True)))


def parts_after(found: RowLists) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return found.start, found.count, found.overflow


def touched(of: List, plan: TilePlan, given: Given, q_len: int, kv_len: int) -> RowLists:
    """Every block of keys: a list that misses nothing."""
    rows = len(rows_of(q_len, kv_len, of.geometry.rows))
    return packed(torch.ones(1, 1, rows, -(-kv_len // of.geometry.size), dtype=torch.bool))


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(MASKS), st.sampled_from((1, 2, 8)), st.integers(1, 70), st.integers(1, 70), st.integers(0, 999))
def test_every_kept_pair_once(mask: str, block_m: int, q_len: int, kv_len: int, seed: int) -> None:
    bound = pattern(mask)
    plan = passes.run(bound, Tiling(block_m, 1))
    found = drawn(bound, q_len, kv_len, seed)
    made = {one.name: touched(one, plan, found, q_len, kv_len) for one in plan.lists if one.condition is not None}
    everything = Given({**found.lists, **made}, found.tokens)
    kept = dense.kept(bound, (1, 2, q_len), kv_len, found).numpy()[0]
    for head in range(2):
        mine = walk.held(everything, head, 0, 2)
        counted = np.zeros((q_len, kv_len), np.int64)
        for tile in interp.visits(plan, q_len, kv_len, head, 0, mine):
            rows = slice(tile.q_first - (kv_len - q_len), tile.q_last - (kv_len - q_len) + 1)
            for visit in tile.visits:
                seen = np.arange(visit.first, visit.stop)
                inside = interp.residual(plan, tile, visit.run, seen, q_len, kv_len, head, 0, mine)
                counted[rows, visit.first : visit.stop] += inside
                if visit.run.over in bound.geometry() and not plan.note and "doc" not in mask:
                    assert inside.any(0).all() or plan.aligned, "a key was visited that no row sees"
        np.testing.assert_array_equal(counted, kept[head].astype(np.int64))


@pytest.mark.parametrize("mask", MASKS)
def test_plans_are_short(mask: str) -> None:
    assert len(list(passes.run(pattern(mask), Tiling(8, 1)).runs())) <= 16
