"""Keys that speak for their unit: equal to the loops, exact where all speak, and found where rows look for them."""

from __future__ import annotations

from typing import cast

import pytest
import torch

from attncc.ir.selection import Geometry
from attncc.selectors import representatives
from attncc.selectors.score import Call, Score
from tests.selectors.structured import SHAPES, Shape, both, options, planted, rounding, smooth, whole

SCORE = cast(Score, representatives)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("size", "count", "local"), [(8, 4, 16), (1, 4, 3), (6, 1, 500), (16, 2, 1)])
@pytest.mark.parametrize(("sink", "window"), [(0, 0), (9, 21)])
def test_device_equals_the_loops_on_whole_numbers(
    shape: Shape, size: int, count: int, local: int, sink: int, window: int
) -> None:
    call = whole(shape, size, options(SCORE, representatives=count, local=local, sink=sink, window=window))
    found, wanted = both(SCORE, call)
    assert torch.equal(found.isneginf(), wanted.isneginf())
    found, wanted = found.nan_to_num(neginf=0.0), wanted.nan_to_num(neginf=0.0)
    assert ((found - wanted).abs() <= rounding(call)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("scale", [0.25, -0.5])
def test_any_dtype_layout_and_sign_of_the_scale(dtype: torch.dtype, scale: float) -> None:
    call = whole(SHAPES[1], 8, options(SCORE))
    query, key = (t.to(dtype).transpose(1, 2).contiguous().transpose(1, 2) for t in (call.query, call.key))
    call = Call(query, key, scale, call.geometry, True, call.options, {})
    found, wanted = both(SCORE, call)
    assert ((found - wanted).abs() <= rounding(call)).all()


def test_units_whose_keys_all_speak_have_their_mean_product() -> None:
    call = whole(Shape(2, 4, 2, 40, 64, 8), 4, options(SCORE, representatives=9))
    rows = call.query.unflatten(2, (5, 8)).mean(3)
    units = call.key.unflatten(2, (16, 4)).mean(3).repeat_interleave(2, 1)
    assert torch.equal(SCORE.device(call)(call.rows), rows @ units.transpose(-1, -2) * call.scale)


def test_the_key_that_later_rows_look_at_speaks() -> None:
    key = smooth(64, 16)
    query = torch.zeros(1, 1, 64, 16)
    query[:, :, 32:37] = 4.0 * key[:, :, 17:18]
    call = Call(query, key, 1.0, Geometry(16, 64, None), True, options(SCORE, representatives=1, local=32), {})
    found = SCORE.device(call)(call.rows)[0, 0, 0, 1]
    loudest = key[0, 0, 16 + int((key[0, 0, 16:32] @ key[0, 0, 17]).argmax())]
    torch.testing.assert_close(found, query[0, 0].mean(0) @ loudest)


def test_a_unit_with_a_planted_needle_ranks_first() -> None:
    ranks = []
    for seed in range(8):
        start = 128 * (3 + seed)
        query, key = planted(4096, 64, range(start, start + 16), seed)
        call = Call(query, key, 0.125, Geometry(32, None, None), True, options(SCORE), {})
        found = SCORE.device(call)(call.rows)[0, 0, 0]
        ranks.append(int((found > found[start // 32]).sum()))
    # Chance would rank it 64th of 128.
    assert max(ranks) <= 2
