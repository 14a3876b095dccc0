"""Groups of units, halved until single units are left: equal to the loops, exact where they must be, and worth it."""

from __future__ import annotations

from typing import cast

import pytest
import torch

from attncc.ir.selection import Geometry, OptionValue
from attncc.selectors import binary_tree
from attncc.selectors.score import Call, Score
from tests.selectors.structured import SHAPES, Shape, blinded, both, mass_kept, options, planted, recall, visible, whole

SCORE = cast(Score, binary_tree)
SMALL: dict[str, OptionValue] = {"keep": 20, "sink": 3, "window": 8}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", ["all", "group", "each"])
@pytest.mark.parametrize("representative", ["center", "first"])
def test_device_equals_the_loops_exactly_on_whole_numbers(shape: Shape, share: str, representative: str) -> None:
    call = whole(shape, 2, options(SCORE, **SMALL, share=share, representative=representative))
    found, wanted = both(SCORE, call)
    assert torch.equal(found.double(), wanted)


@pytest.mark.parametrize(("size", "keep", "stride"), [(1, 9, 1), (4, 16, 3), (5, 3, 16), (2, 4, 40)])
@pytest.mark.parametrize("causal", [True, False])
def test_units_budgets_and_samples_of_any_size(size: int, keep: int, stride: int, causal: bool) -> None:
    for shape in SHAPES:
        call = whole(shape, size, options(SCORE, sink=3, window=8, keep=keep, stride=stride), causal=causal)
        found, wanted = both(SCORE, call)
        assert torch.equal(found.double(), wanted)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("scale", [0.25, -0.5])
def test_any_dtype_layout_and_sign_of_the_scale(dtype: torch.dtype, scale: float) -> None:
    call = whole(SHAPES[1], 2, options(SCORE, **SMALL))
    query, key = (t.to(dtype).transpose(1, 2).contiguous().transpose(1, 2) for t in (call.query, call.key))
    found, wanted = both(SCORE, Call(query, key, scale, call.geometry, True, call.options, {}))
    assert torch.equal(found.double(), wanted)


def test_a_budget_of_all_keys_keeps_every_unit_with_its_exact_score() -> None:
    call = whole(Shape(2, 4, 2, 5, 62, 1), 2, options(SCORE, keep=62, sink=0, window=0))
    found = SCORE.device(call)(call.rows)
    assert torch.equal(~found.isneginf(), visible(call, call.rows).expand_as(found))
    # The row at position 61 sees every key.
    exact = call.query[:, :, -1:] @ call.key.repeat_interleave(2, 1).transpose(-1, -2) * call.scale
    assert torch.equal(found[:, :, -1:], exact.unflatten(-1, (-1, 2)).amax(-1))


def test_twice_as_many_keys_as_the_budget_give_the_exact_best() -> None:
    call = whole(Shape(1, 2, 1, 1, 64, 1), 1, options(SCORE, keep=32, sink=0, window=0))
    exact = (call.query @ call.key.transpose(-1, -2) * call.scale)[0, :, 0]
    kept = ~SCORE.device(call)(call.rows)[0, :, 0].isneginf()
    best = exact.sort(stable=True, dim=-1, descending=True).indices[:, :32].sort(-1).values
    assert torch.equal(kept.nonzero()[:, 1].view(2, 32), best)


def test_the_budget_is_kept_and_heads_that_share_keep_the_same() -> None:
    shape = Shape(1, 4, 2, 1, 300, 16)
    kept = {
        share: ~SCORE.device(call)(call.rows)[0, :, 0].isneginf()
        for share in ("all", "group", "each")
        for call in [whole(shape, 2, options(SCORE, **SMALL, share=share))]
    }
    assert all((one.sum(-1) == 10).all() for one in kept.values())
    assert (kept["all"] == kept["all"][0]).all()
    assert torch.equal(kept["group"][0], kept["group"][1])
    assert not torch.equal(kept["group"][1], kept["group"][2])
    assert not torch.equal(kept["each"][0], kept["each"][1])


def test_sink_and_window_are_left_out_and_later_keys_are_never_read() -> None:
    call = whole(Shape(1, 1, 1, 128, 128, 16), 4, options(SCORE, keep=999, sink=5, window=8))
    found = SCORE.device(call)(range(3, 4))
    assert torch.equal(found, SCORE.device(blinded(call, 64))(range(3, 4)))
    assert (~found[0, 0, 0].isneginf()).nonzero().flatten().tolist() == list(range(1, 14))


def test_it_finds_a_planted_needle_among_smooth_keys() -> None:
    kept_mass = []
    for seed in range(8):
        place = 200 + 397 * seed
        query, key = planted(4096, 64, range(place, place + 12), seed)
        call = Call(query, key, 0.125, Geometry(2, 64, None), True, options(SCORE, sink=0, window=0), {})
        kept = ~SCORE.device(call)(call.rows)[0, 0, 0].isneginf()
        kept_mass.append(mass_kept(query, key, kept.repeat_interleave(2)))
    # Units chosen at random would hold 512 of 4096 keys, an eighth.
    assert sum(kept_mass) / len(kept_mass) > 0.5


def test_it_keeps_most_of_the_mass_that_the_best_keys_hold_among_smooth_keys() -> None:
    recalls = [recall(SCORE, 2, {"sink": 0, "window": 0, "keep": 256}, seed) for seed in range(8)]
    assert sum(recalls) / len(recalls) > 0.8
    assert min(recalls) > 0.2
