"""Chunks that are searched by halves, pruned and cut: equal to the loops, exact where they must be, and worth it."""

from __future__ import annotations

from typing import cast

import pytest
import torch

from attncc.ir.selection import Geometry, OptionValue
from attncc.selectors import staged
from attncc.selectors.score import Call, Score
from tests.selectors.structured import SHAPES, Shape, blinded, both, mass_kept, options, planted, recall, visible, whole

SCORE = cast(Score, staged)
SMALL: dict[str, OptionValue] = {"chunk": 16, "middle": 8, "keep_first": 48, "keep_middle": 24, "sink": 4, "window": 8}
WIDE = options(SCORE, sink=0, window=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("share", "causal"), [("all", True), ("group", True), ("each", True), ("all", False)])
def test_device_equals_the_loops_exactly_on_whole_numbers(shape: Shape, share: str, causal: bool) -> None:
    call = whole(shape, 4, options(SCORE, **SMALL, share=share), causal=causal)
    found, wanted = both(SCORE, call)
    assert torch.equal(found.double(), wanted)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("scale", [0.25, -0.5])
def test_any_dtype_layout_and_sign_of_the_scale(dtype: torch.dtype, scale: float) -> None:
    call = whole(SHAPES[1], 4, options(SCORE, **SMALL))
    query, key = (t.to(dtype).transpose(1, 2).contiguous().transpose(1, 2) for t in (call.query, call.key))
    found, wanted = both(SCORE, Call(query, key, scale, call.geometry, True, call.options, {}))
    assert torch.equal(found.double(), wanted)


@pytest.mark.parametrize(("chunk", "middle", "size"), [(12, 6, 3), (16, 16, 16), (5, 5, 1), (1, 1, 1)])
def test_chunks_of_any_size(chunk: int, middle: int, size: int) -> None:
    changed = options(SCORE, **SMALL | {"chunk": chunk, "middle": middle})
    for shape in SHAPES:
        found, wanted = both(SCORE, whole(shape, size, changed))
        assert torch.equal(found.double(), wanted)


def test_budgets_of_all_keys_keep_every_unit() -> None:
    call = whole(SHAPES[1], 4, options(SCORE, chunk=16, middle=8, sink=0, window=0))
    found = SCORE.device(call)(call.rows)
    assert torch.equal(~found.isneginf(), visible(call, call.rows).expand_as(found))


def test_chunks_of_one_key_have_their_exact_scores() -> None:
    call = whole(Shape(2, 4, 2, 8, 61, 1), 1, options(SCORE, chunk=1, middle=1, sink=0, window=0, share="each"))
    found = SCORE.device(call)(call.rows)
    key = call.key.repeat_interleave(2, 1)
    exact = call.query @ key.transpose(-1, -2) * call.scale
    matter = visible(call, call.rows)
    assert torch.equal(found.where(matter, 0.0), exact.where(matter, 0.0))


def test_a_unit_never_scores_more_than_its_best_key() -> None:
    call = whole(Shape(1, 2, 2, 1, 160, 16), 8, options(SCORE, chunk=32, middle=16, sink=0, window=0))
    found = SCORE.device(call)(call.rows)
    best = (call.query @ call.key.transpose(-1, -2) * call.scale).unflatten(-1, (-1, 8)).amax(-1)
    assert (found <= best).all()
    assert (found < best).any()


def test_what_is_pruned_scores_minus_infinity_and_budgets_are_kept() -> None:
    call = whole(Shape(1, 2, 1, 1, 400, 16), 4, options(SCORE, **SMALL))
    kept = ~SCORE.device(call)(call.rows).isneginf()
    assert (kept.sum(-1) == 24 // 4).all()
    assert torch.equal(kept[:, 0], kept[:, 1])
    apart = Call(call.query, call.key, 0.25, call.geometry, True, options(SCORE, **SMALL, share="each"), {})
    apart_kept = ~SCORE.device(apart)(apart.rows).isneginf()
    assert not torch.equal(apart_kept[:, 0], apart_kept[:, 1])


def test_equal_keys_are_all_of_one_rank() -> None:
    call = whole(Shape(1, 1, 1, 1, 64, 16), 4, options(SCORE, **SMALL))
    level = Call(call.query, torch.ones_like(call.key), 0.25, call.geometry, True, call.options, {})
    kept = ~SCORE.device(level)(level.rows)[0, 0, 0].isneginf()
    assert kept.nonzero().flatten().tolist() == [1, 2, 3, 4, 5, 6]


def test_sink_and_window_are_left_out_and_later_keys_are_never_read() -> None:
    call = whole(Shape(1, 1, 1, 128, 128, 16), 4, options(SCORE, **SMALL | {"keep_first": 999, "keep_middle": 999}))
    found = SCORE.device(call)(range(3, 4))
    assert torch.equal(found, SCORE.device(blinded(call, 64))(range(3, 4)))
    # Rows 48 to 63: from key 4, and as far as the last key that is out of the window of 8 of row 63.
    assert (~found[0, 0, 0].isneginf()).nonzero().flatten().tolist() == list(range(1, 14))


def test_it_finds_a_planted_needle_among_smooth_keys() -> None:
    kept_mass = []
    for seed in range(8):
        place = 200 + 397 * seed
        query, key = planted(4096, 64, range(place, place + 6), seed)
        changed = options(SCORE, sink=0, window=0, keep_first=1024, keep_middle=256)
        call = Call(query, key, 0.125, Geometry(8, 64, None), True, changed, {})
        kept = ~SCORE.device(call)(call.rows)[0, 0, 0].isneginf()
        kept_mass.append(mass_kept(query, key, kept.repeat_interleave(8)))
    # Units chosen at random would hold 256 of 4096 keys, a sixteenth.
    assert sum(kept_mass) / len(kept_mass) > 0.5


def test_it_keeps_most_of_the_mass_that_the_best_keys_hold_among_smooth_keys() -> None:
    recalls = [
        recall(SCORE, 8, {"sink": 0, "window": 0, "keep_first": 1024, "keep_middle": 256}, seed) for seed in range(8)
    ]
    assert sum(recalls) / len(recalls) > 0.6
    assert min(recalls) > 0.2
