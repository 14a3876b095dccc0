"""A vote of each head on its keys: equal to the loops, a distribution, and wide or narrow as the pool says."""

from __future__ import annotations

from typing import cast

import pytest
import torch

from attncc.ir.selection import Geometry
from attncc.selectors import vote
from attncc.selectors.score import Call, Score
from tests.selectors.structured import SHAPES, Shape, blinded, both, mass_kept, normal, options, planted, rounding

SCORE = cast(Score, vote)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pool", [1, 5])
@pytest.mark.parametrize("size", [1, 6])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("sink", "window"), [(0, 0), (7, 21)])
def test_device_equals_the_loops(shape: Shape, pool: int, size: int, causal: bool, sink: int, window: int) -> None:
    call = normal(shape, size, options(SCORE, pool=pool, sink=sink, window=window), causal=causal)
    found, wanted = both(SCORE, call)
    assert torch.equal(found.isneginf(), wanted.isneginf())
    found, wanted = found.nan_to_num(neginf=0.0), wanted.nan_to_num(neginf=0.0)
    # A softmax moves by at most twice the error of its scores, as a part of itself.
    assert ((found - wanted).abs() <= 4 * rounding(call) * wanted).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_dtype_and_layout(dtype: torch.dtype) -> None:
    call = normal(SHAPES[1], 1, options(SCORE, pool=3))
    query, key = (t.to(dtype).transpose(1, 2).contiguous().transpose(1, 2) for t in (call.query, call.key))
    call = Call(query, key, -0.5, call.geometry, True, call.options, {})
    found, wanted = both(SCORE, call)
    assert ((found - wanted).abs() <= 4 * rounding(call) * wanted).all()


def test_without_a_pool_each_head_has_one_vote() -> None:
    call = normal(SHAPES[1], 4, options(SCORE))
    votes = SCORE.device(call)(call.rows).sum(-1)
    torch.testing.assert_close(votes, torch.ones_like(votes))


def test_a_pool_lets_neighbours_share_the_largest_vote() -> None:
    query, key = torch.ones(1, 1, 1, 4), torch.zeros(1, 1, 20, 4)
    key[:, :, 7] = 3.0
    call = Call(query, key, 1.0, Geometry(1, None, None), True, options(SCORE, pool=5), {})
    votes = SCORE.device(call)(call.rows)[0, 0, 0]
    assert (votes == votes.max()).nonzero().flatten().tolist() == [5, 6, 7, 8, 9]


def test_later_keys_have_no_part_in_the_vote() -> None:
    call = normal(Shape(1, 2, 1, 96, 96, 16), 4, options(SCORE))
    part = range(3, 4)
    assert torch.equal(SCORE.device(call)(part)[..., :16], SCORE.device(blinded(call, 64))(part)[..., :16])


def test_the_best_votes_hold_the_most_mass() -> None:
    query, key = planted(2048, 64, range(900, 940))
    call = Call(query, key, 0.125, Geometry(1, None, None), True, options(SCORE), {})
    kept = torch.zeros(2048, dtype=torch.bool)
    kept[SCORE.device(call)(call.rows)[0, 0, 0].topk(64).indices] = True
    assert mass_kept(query, key, kept) > 0.9
