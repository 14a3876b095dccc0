"""Keys that weigh as their centroid does: equal to the loops, a softmax where each key is its own, and worth it."""

from __future__ import annotations

from typing import cast

import pytest
import torch

from attncc.ir.selection import Geometry, OptionValue
from attncc.selectors import centroids
from attncc.selectors.clustering import clustered, plain_clustered
from attncc.selectors.score import Call, Score
from tests.selectors.structured import SHAPES, Shape, blinded, both, mass_kept, normal, options, planted, rounding

SCORE = cast(Score, centroids)
SMALL: dict[str, OptionValue] = {"keys_per_centroid": 6, "iterations": 3, "centroids_per_coarse": 3}


def labelled(call: Call, clusters: int) -> Call:
    label = torch.randint(clusters, (1, 1, call.kv_len), generator=torch.Generator().manual_seed(1), dtype=torch.int32)
    return Call(
        call.query, call.key, call.scale, call.geometry, True, {**call.options, "labels": "which"}, {"which": label}
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("causal", [True, False])
def test_device_equals_the_loops(shape: Shape, levels: int, causal: bool) -> None:
    call = normal(shape, 1, options(SCORE, **SMALL, levels=levels), causal=causal)
    found, wanted = both(SCORE, call)
    assert torch.equal(found == 0.0, wanted == 0.0)
    # A softmax moves by at most twice the error of its scores, as a part of itself; a centroid adds its own.
    assert ((found - wanted).abs() <= 8 * rounding(call) * wanted).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_dtype_and_layout_and_labels_from_outside(dtype: torch.dtype) -> None:
    call = normal(SHAPES[1], 1, options(SCORE, **SMALL, levels=2))
    query, key = (t.to(dtype).transpose(1, 2).contiguous().transpose(1, 2) for t in (call.query, call.key))
    call = labelled(Call(query, key, -0.5, call.geometry, True, call.options, {}), 17)
    found, wanted = both(SCORE, call)
    assert torch.equal(found == 0.0, wanted == 0.0)
    assert ((found - wanted).abs() <= 8 * rounding(call) * wanted).all()


def test_where_each_key_is_its_own_centroid_the_scores_are_the_softmax() -> None:
    call = normal(Shape(2, 4, 2, 9, 50, 1), 1, options(SCORE, keys_per_centroid=1))
    exact = call.query @ call.key.repeat_interleave(2, 1).transpose(-1, -2) * call.scale
    later = torch.arange(50) > torch.arange(41, 50)[:, None]
    wanted = exact.masked_fill(later, -torch.inf).softmax(-1)
    torch.testing.assert_close(SCORE.device(call)(call.rows).masked_fill(later, 0.0), wanted)


@pytest.mark.parametrize("levels", [1, 2])
def test_the_keys_that_a_row_block_sees_weigh_one_together(levels: int) -> None:
    call = normal(SHAPES[5], 1, options(SCORE, **SMALL, levels=levels))
    found = SCORE.device(call)(call.rows)
    seen = torch.arange(call.kv_len) < torch.tensor([min(b * 24 + 24, call.kv_len) for b in call.rows])[:, None]
    total = (found * seen).sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total))


def test_clusters_score_as_one_and_half_of_the_coarse_ones_is_left_out() -> None:
    call = labelled(normal(Shape(1, 1, 1, 1, 300, None), 1, options(SCORE, levels=2)), 15)
    found = SCORE.device(call)(call.rows)[0, 0, 0]
    label = call.inputs["which"][0, 0]
    assert all((found[label == one] == found[label == one][0]).all() for one in range(15))
    # 15 clusters, in 3 coarse ones, of which 2 are looked into.
    left_out = (found == 0.0).sum()
    assert 0 < left_out < 300


def test_later_keys_do_not_count() -> None:
    call = labelled(normal(Shape(1, 2, 1, 96, 96, 16), 1, options(SCORE)), 5)
    apart = torch.where(torch.arange(96) < 64, call.inputs["which"] % 4, 4)
    call = Call(call.query, call.key, call.scale, call.geometry, True, call.options, {"which": apart})
    # Keys that no row of the part sees are in a cluster of their own, whose centroid is not a number.
    early = blinded(call, 64)
    found = SCORE.device(call)(range(3, 4))[..., :64]
    assert torch.equal(found, SCORE.device(early)(range(3, 4))[..., :64])


def test_vectors_of_one_direction_are_one_cluster() -> None:
    draw = torch.Generator().manual_seed(0)
    topics = torch.nn.functional.normalize(torch.randn(8, 32, generator=draw), dim=-1)
    which = torch.arange(408) % 8
    vectors = (topics[which] + 0.05 * torch.randn(408, 32, generator=draw)) * (1.0 + torch.arange(408)[:, None] % 5)
    # The first centers, at 0, 51, 102, ..., have topics 0, 3, 6, 1, 4, 7, 2, 5.
    label = clustered(vectors[None, None], 8, 5)[0, 0]
    assert label.tolist() == plain_clustered(vectors, 8, 5)
    assert all(len(label[which == topic].unique()) == 1 for topic in range(8))
    assert len(label.unique()) == 8


def test_the_best_clusters_hold_a_planted_needle() -> None:
    kept_mass = []
    for seed in range(6):
        place = 100 + 297 * seed
        query, key = planted(2048, 64, range(place, place + 12), seed)
        call = Call(query, key, 0.125, Geometry(1, None, None), True, options(SCORE), {})
        kept = torch.zeros(2048, dtype=torch.bool)
        kept[SCORE.device(call)(call.rows)[0, 0, 0].topk(128).indices] = True
        kept_mass.append(mass_kept(query, key, kept))
    # Keys chosen at random would hold a sixteenth.
    assert sum(kept_mass) / len(kept_mass) > 0.6
