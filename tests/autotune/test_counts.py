"""Does the model count steps exactly, over lists too, and expect lists as long as they turn out?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncc import passes
from attncc.autotune.counts import counts
from attncc.autotune.inputs import random_inputs
from attncc.ir.schedule import Shape
from attncc.ir.tile import TilePlan, Tiling
from attncc.lists import Given
from attncc.ref.interp import QueryTile, visits
from attncc.ref.walk import held
from attncc.spec import load, lower

PATTERNS = ("causal", "a_shape", "longformer", "dilated", "longgen", "duo_attention", "block_diffusion", "prefix_lm")
#: Lists whose runs have no further condition: what the interpreter visits is what a kernel looks at.
LISTED = ("block_sparse", "block_table", "documents")


def plan_of(name: str, block_m: int, block_n: int) -> TilePlan:
    return passes.run(lower.lower(load.find(name), {}), Tiling(block_m, block_n))


def visited(plan: TilePlan, shape: Shape, head: int, batch: int) -> tuple[list[int], list[int]]:
    """Steps without and with a mask of each query tile, one by one."""
    taken = [steps(tile, plan.tiling.block_n) for tile in visits(plan, shape.q_len, shape.kv_len, head, batch)]
    return [full for full, _ in taken], [masked for _, masked in taken]


def steps(tile: QueryTile, block_n: int) -> tuple[int, int]:
    """A full run takes whole steps; what is less than a step is a masked one, or goes into the run that it joins."""
    full = masked = rest = 0
    for visit in tile.visits:
        keys = visit.stop - visit.first
        if visit.run.mask is None:
            full += keys // block_n
            rest += keys % block_n
            masked, rest = (masked, rest) if visit.run.joined else (masked + (rest > 0), 0)
        else:
            masked += -(-(keys + rest) // block_n)
            rest = 0
    return full, masked + (rest > 0)


@settings(max_examples=15, deadline=None)
@given(
    name=st.sampled_from(PATTERNS),
    q_len=st.integers(1, 700),
    past=st.integers(0, 300),
    tiling=st.sampled_from([(16, 16), (64, 32), (32, 128)]),
)
def test_counts_are_those_of_the_interpreter(name: str, q_len: int, past: int, tiling: tuple[int, int]) -> None:
    plan, shape = plan_of(name, *tiling), Shape(2, 4, 2, q_len, q_len + past, 16)
    found = counts(plan, shape)
    tiles = found.full.shape[-1]
    full, masked = (np.broadcast_to(part, (2, 4, tiles)) for part in (found.full, found.masked))
    for batch, head in ((0, 0), (1, 3)):
        assert (full[batch, head].tolist(), masked[batch, head].tolist()) == visited(plan, shape, head, batch)


def test_counting_a_million_tokens_is_quick_and_exact() -> None:
    length = 1 << 20
    found = counts(plan_of("causal", 128, 64), Shape(1, 32, 8, length, length, 128))
    tiles = length // 128
    assert int(found.full.sum()) == 2 * tiles * (tiles - 1) // 2
    assert int(found.masked.sum()) == 2 * tiles


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("sizes", [(256, 256), (70, 300), (1, 200)])
def test_keys_of_lists_are_those_of_the_interpreter(name: str, sizes: tuple[int, int]) -> None:
    q_len, kv_len = sizes
    plan, shape = plan_of(name, 64, 1), Shape(2, 4, 2, q_len, kv_len, 16)
    lists = random_inputs(shape, "float32", "cpu", pattern=plan.pattern).given
    assert lists is not None
    found = counts(plan, shape, lists)
    keys = np.broadcast_to(found.keys, (2, 4, found.keys.shape[2]))
    assert (found.gathered <= found.full + found.masked).all()
    for batch, head in ((0, 0), (1, 3)):
        assert keys[batch, head].tolist() == looked_at(plan, shape, lists, head, batch)


def looked_at(plan: TilePlan, shape: Shape, lists: Given, head: int, batch: int) -> list[int]:
    mine = held(lists, head, batch, shape.q_heads)
    tiles = visits(plan, shape.q_len, shape.kv_len, head, batch, mine)
    return [sum(visit.stop - visit.first for visit in tile.visits) for tile in tiles]


@pytest.mark.parametrize("name", ["block_sparse", "block_table", "vertical_slash", "hash_neighbours", "moba"])
def test_lists_are_about_as_long_as_expected(name: str) -> None:
    pattern = lower.lower(load.find(name), {})
    plan = plan_of(name, 64 if pattern.grain() in (None, 64) else 1, 32)
    shape = Shape(1, 2, 1, 512, 512, 16)
    lists = random_inputs(shape, "float32", "cpu", pattern=pattern).given
    expected, found = (float(np.mean(counts(plan, shape, some).keys)) for some in (None, lists))
    assert expected == pytest.approx(found, rel=0.25)


def test_an_incomplete_step_over_a_list_has_a_mask() -> None:
    plan, shape = plan_of("block_table", 64, 128), Shape(1, 2, 1, 256, 256, 16)
    found = counts(plan, shape, random_inputs(shape, "float32", "cpu", pattern=plan.pattern).given)
    assert ((found.full + found.masked) * 128 >= found.keys).all()
    assert (found.full * 128 <= found.keys).all()
