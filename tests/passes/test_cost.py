"""Analysis: nothing in a plan grows with the length, and a mask that explodes ends soon, with the reason."""

from __future__ import annotations

import time

import pytest

from attncc import passes
from attncc.ir.tile import Tiling
from attncc.ref.evaluate import keep
from attncc.ref.interp import visits
from attncc.spec import load, lower

#: A guard against masks that never end, on a busy machine too.
SECONDS = 300.0


@pytest.mark.parametrize("name", load.shipped())
def test_every_shipped_pattern_has_a_plan(name: str) -> None:
    pattern = lower.lower(load.find(name), {})
    for tiling in (Tiling(64, 1), Tiling(1, 1)):
        assert passes.run(pattern, tiling).body


def test_a_million_tokens_take_no_memory_of_their_own() -> None:
    """One plan serves all lengths: it holds expressions only, so no length is ever given to the analysis."""
    pattern = lower.lower(load.find("a_shape"), {})
    plan = passes.run(pattern, Tiling(128, 1))
    last = list(visits(plan, 128, 1_048_576))[-1]
    assert sum(visit.stop - visit.first for visit in last.visits) == 128 + 1024 + 127


PARTS = ((7, 11, 13), (5, 9, 17), (3, 23, 19))
EXPLODING = {
    "or": " or ".join(f"(q // {a} + kv // {b}) % {c} == {c - 1}" for a, b, c in PARTS),
    "and": " and ".join(f"((kv // {n}) % 7 != 3 or abs(q - {n} * kv) > {n})" for n in range(3, 30)),
}


@pytest.mark.parametrize("mask", EXPLODING.values(), ids=EXPLODING.keys())
def test_a_mask_that_explodes_ends_soon(mask: str) -> None:
    pattern = lower.lower(load.from_dict({"pattern": "strange", "about": "x", "source": "x", "mask": mask}), {})
    start = time.process_time()
    plan = passes.run(pattern, Tiling(64, 1))
    assert time.process_time() - start < SECONDS
    kept = keep(pattern, 1, 90, 90)[0, 0]
    for tile in visits(plan, 90, 90):
        seen = {key for visit in tile.visits for key in range(visit.first, visit.stop)}
        assert set(kept[tile.q_first : tile.q_last + 1].any(0).nonzero()[0]) <= seen


def test_a_plan_that_only_covers_its_keys_says_so() -> None:
    plan = passes.run(lower.lower(load.find("sliding_tile"), {}), Tiling(128, 1))
    assert "no short closed form" in plan.note
