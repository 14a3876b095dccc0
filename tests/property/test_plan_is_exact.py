"""A plan visits exactly the keys that some row sees, once, and masks, rightly, those that not every row sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncc import passes
from attncc.ir.expr import BoolExpr
from attncc.ir.pattern import Pattern
from attncc.ir.tile import TilePlan, Tiling
from attncc.ref.evaluate import Bools, constants, keep, truth
from attncc.ref.interp import QueryTile, attend, residual, visits
from tests.property.masks import MASKS

HEADS, BATCH = 3, 2
TILINGS = st.builds(Tiling, st.sampled_from([1, 4, 16, 24]), st.sampled_from([1, 1, 8, 16]))
LENGTHS = st.tuples(st.integers(1, 90), st.integers(1, 90))


def plan_of(mask: BoolExpr, tiling: Tiling) -> TilePlan:
    return passes.run(Pattern("drawn", "", "", (), mask), tiling)


def counted(plan: TilePlan, tile: QueryTile, q_len: int, kv_len: int, head: int, batch: int) -> Bools:
    """What the rows that count for the plan see: [rows, kv_len]."""
    start = tile.q_first // plan.tiling.block_m * plan.tiling.block_m
    rows = np.arange(start, start + plan.tiling.block_m) if plan.aligned else np.arange(tile.q_first, tile.q_last + 1)
    values = constants(plan.pattern, q_len, kv_len)
    values |= {"q": rows[:, None], "kv": np.arange(kv_len), "head": np.asarray(head), "batch": np.asarray(batch)}
    return np.broadcast_to(truth(plan.pattern.mask, values), (rows.size, kv_len))


@settings(max_examples=100, deadline=None)
@given(MASKS, TILINGS, LENGTHS)
def test_keys_visited_are_those_some_row_sees_and_unmasked_keys_those_every_row_sees(
    mask: BoolExpr, tiling: Tiling, lengths: tuple[int, int]
) -> None:
    plan = plan_of(mask, tiling)
    q_len, kv_len = lengths
    kept = keep(plan.pattern, HEADS, q_len, kv_len, BATCH)
    for batch, head in np.ndindex(BATCH, HEADS):
        for tile in visits(plan, q_len, kv_len, head, batch):
            seen = counted(plan, tile, q_len, kv_len, head, batch)
            times, bare = np.zeros(kv_len, int), np.zeros(kv_len, bool)
            for visit in tile.visits:
                times[visit.first : visit.stop] += 1
                bare[visit.first : visit.stop] = visit.run.mask is None
                keys = np.arange(visit.first, visit.stop)
                rows = slice(tile.q_first - kv_len + q_len, tile.q_last - kv_len + q_len + 1)
                left = residual(plan, tile, visit.run, keys, q_len, kv_len, head, batch)
                assert (left == kept[batch, head, rows, visit.first : visit.stop]).all()
            assert times.max() <= 1
            if not plan.note:
                assert (times == seen.any(0)).all()
                assert (bare == seen.all(0)).all()


@settings(max_examples=100, deadline=None)
@given(MASKS, TILINGS, LENGTHS)
def test_steps_that_reach_past_a_run_or_before_it_are_decided_by_its_mask(
    mask: BoolExpr, tiling: Tiling, lengths: tuple[int, int]
) -> None:
    plan = plan_of(mask, tiling)
    q_len, kv_len = lengths
    for tile in visits(plan, q_len, kv_len, 1, 1):
        for before, visit in zip((None, *tile.visits), tile.visits, strict=False):
            reach = np.arange(visit.stop, visit.stop + tiling.block_n - 1)
            if not visit.run.bounded:
                assert not residual(plan, tile, visit.run, reach, q_len, kv_len, 1, 1).any()
            if visit.run.mask is not None and visit.run.joined and before is not None and before.run.mask is None:
                last = np.arange(max(before.first, before.stop - tiling.block_n + 1), before.stop)
                if before.run.joined:
                    assert before.stop == visit.first
                    assert residual(plan, tile, visit.run, last, q_len, kv_len, 1, 1).all()


@settings(max_examples=40, deadline=None)
@given(MASKS, TILINGS, LENGTHS, st.integers(0, 2**32 - 1))
def test_the_plan_computes_what_the_dense_reference_defines(
    mask: BoolExpr, tiling: Tiling, lengths: tuple[int, int], seed: int
) -> None:
    torch = pytest.importorskip("torch")
    from attncc.ref import dense

    plan = plan_of(mask, tiling)
    q_len, kv_len = lengths
    rng = np.random.default_rng(seed)
    query = rng.standard_normal((BATCH, HEADS, q_len, 8))
    key, value = rng.standard_normal((2, BATCH, 1, kv_len, 8))
    out, lse = attend(plan, query, key, value, 0.3)
    q, k, v = (torch.from_numpy(t) for t in (query, key, value))
    wanted = dense.attention(plan.pattern, q, k, v, 0.3)
    np.testing.assert_allclose(out, wanted[0].numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(lse, wanted[1].numpy(), rtol=1e-9, atol=1e-12)
