"""Keys in the order of their buckets: equal to the loops, neighbours of the row first, and found by direction."""

from __future__ import annotations

from typing import cast

import pytest
import torch

from attncc.ir.selection import Geometry
from attncc.selectors import lsh
from attncc.selectors.score import Call, Score
from tests.selectors.structured import SHAPES, Shape, begun, blinded, both, mass_kept, options, whole

SCORE = cast(Score, lsh)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bits", [1, 4])
@pytest.mark.parametrize("causal", [True, False])
def test_device_equals_the_loops_exactly_on_whole_numbers(shape: Shape, bits: int, causal: bool) -> None:
    found, wanted = both(SCORE, whole(shape, 1, options(SCORE, bits=bits), causal=causal))
    assert torch.equal(found.double(), wanted)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("scale", [0.25, -0.5])
def test_any_dtype_layout_and_sign_of_the_scale(dtype: torch.dtype, scale: float) -> None:
    call = whole(SHAPES[5], 1, options(SCORE))
    query, key = (t.to(dtype).transpose(1, 2).contiguous().transpose(1, 2) for t in (call.query, call.key))
    found, wanted = both(SCORE, Call(query, key, scale, call.geometry, True, call.options, {}))
    assert torch.equal(found.double(), wanted)


def test_directions_differ_by_seed_and_are_centered() -> None:
    call = whole(Shape(1, 1, 1, 1, 1, 1), 1, options(SCORE, bits=16))
    wide = Call(torch.zeros(1, 1, 1, 256), torch.zeros(1, 1, 1, 256), 1.0, call.geometry, True, call.options, {})
    first = lsh.directions(wide)
    second = lsh.directions(Call(wide.query, wide.key, 1.0, call.geometry, True, options(SCORE, bits=16, seed=1), {}))
    spread = first.std()
    assert abs(first.mean()) < 0.05 * spread
    alike = torch.nn.functional.normalize(torch.cat([first, second], 1), dim=0)
    between = (alike.T @ alike - torch.eye(32)).abs().max()
    # Of 496 pairs of independent directions the most alike has a cosine of about 3.5 / 16.
    assert between < 5 / 16


def test_the_best_keys_of_one_row_are_its_neighbours_in_the_sorted_order() -> None:
    call = whole(Shape(1, 1, 1, 1, 200, 1), 1, options(SCORE, bits=3))
    found = SCORE.device(call)(call.rows)[0, 0, 0]
    distance, counts = (-found).unique(return_counts=True)
    assert torch.equal((distance * 2) % 2, (distance[:1] * 2 % 2).expand_as(distance))
    assert counts.max() <= 2
    own = found.topk(10).indices
    assert -found[own].min() <= 5


def test_what_a_row_sees_decides_whatever_comes_after() -> None:
    call = whole(Shape(1, 2, 1, 96, 96, 16), 1, options(SCORE, bits=4))
    part = range(3, 4)
    found = SCORE.device(call)(part)[..., :64]
    assert torch.equal(found, SCORE.device(blinded(call, 64))(part)[..., :64])
    assert torch.equal(found, SCORE.device(begun(call, 32, 64))(part))


def test_keys_of_one_direction_are_found_among_many() -> None:
    kept_mass = []
    for seed in range(8):
        draw = torch.Generator().manual_seed(seed)
        topics = torch.randn(32, 64, generator=draw) * 1.5
        topic = torch.randint(32, (2048,), generator=draw)
        key = (topics[topic] + 0.3 * torch.randn(2048, 64, generator=draw))[None, None]
        query = topics[None, None, seed : seed + 1]
        call = Call(query, key, 0.125, Geometry(1, 1, None), True, options(SCORE), {})
        kept = torch.zeros(2048, dtype=torch.bool)
        kept[SCORE.device(call)(call.rows)[0, 0, 0].topk(256).indices] = True
        kept_mass.append(mass_kept(query, key, kept))
    # Keys chosen at random would hold an eighth.
    assert sum(kept_mass) / len(kept_mass) > 0.6
