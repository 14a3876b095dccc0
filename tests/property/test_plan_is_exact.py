"""A plan visits exactly the units that hold a kept pair, and masks, rightly, exactly those that are not full."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from attncc import passes
from attncc.errors import MaskTooComplex
from attncc.ir.expr import BoolExpr
from attncc.ir.pattern import Pattern
from attncc.ir.tile import TilePlan, Tiling
from attncc.ref.evaluate import keep
from attncc.ref.interp import attend, residual, visits
from tests.property.masks import MASKS

HEADS, BATCH = 3, 2
TILINGS = st.tuples(st.sampled_from([1, 4, 16, 24]), st.sampled_from([1, 8, 16, 24]))
LENGTHS = st.tuples(st.integers(1, 90), st.integers(1, 90))


def plan_of(mask: BoolExpr, block_m: int, width: int) -> TilePlan:
    try:
        return passes.run(Pattern("drawn", "", "", (), mask), Tiling(block_m, width))
    except MaskTooComplex:
        assume(False)
        raise


@settings(max_examples=150, deadline=None)
@given(MASKS, TILINGS, LENGTHS)
def test_tiles_visited_are_the_non_empty_ones_and_unmasked_tiles_the_full_ones(
    mask: BoolExpr, tiling: tuple[int, int], lengths: tuple[int, int]
) -> None:
    plan = plan_of(mask, *tiling)
    q_len, kv_len = lengths
    kept = keep(plan.pattern, HEADS, q_len, kv_len, BATCH)
    for batch, head in np.ndindex(BATCH, HEADS):
        for tile in visits(plan, q_len, kv_len, head, batch):
            rows = slice(tile.q_first - kv_len + q_len, tile.q_last - kv_len + q_len + 1)
            found = [visit.unit for visit in tile.visits]
            assert len(found) == len(set(found)), "a unit is visited twice"
            for unit in range(-(-kv_len // plan.width)):
                here = kept[batch, head, rows, unit * plan.width : (unit + 1) * plan.width]
                assert (unit in found) == here.any()
            for visit in tile.visits:
                here = kept[batch, head, rows, visit.unit * plan.width : (visit.unit + 1) * plan.width]
                inside = visit.unit >= 0 and (visit.unit + 1) * plan.width <= kv_len
                assert (visit.loop.mask is None) == (here.all() and inside)
                assert visit.loop.overhang or inside
                assert (residual(plan, tile, visit, q_len, kv_len, head, batch) == here).all()


@settings(max_examples=40, deadline=None)
@given(MASKS, TILINGS, LENGTHS, st.integers(0, 2**32 - 1))
def test_the_plan_computes_what_the_dense_reference_defines(
    mask: BoolExpr, tiling: tuple[int, int], lengths: tuple[int, int], seed: int
) -> None:
    torch = pytest.importorskip("torch")
    from attncc.ref import dense

    plan = plan_of(mask, *tiling)
    q_len, kv_len = lengths
    rng = np.random.default_rng(seed)
    query = rng.standard_normal((BATCH, HEADS, q_len, 8))
    key, value = rng.standard_normal((2, BATCH, 1, kv_len, 8))
    out, lse = attend(plan, query, key, value, 0.3)
    q, k, v = (torch.from_numpy(t) for t in (query, key, value))
    wanted = dense.attention(plan.pattern, q, k, v, 0.3)
    np.testing.assert_allclose(out, wanted[0].numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(lse, wanted[1].numpy(), rtol=1e-9, atol=1e-12)
