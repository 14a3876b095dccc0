"""Is the device form of each score the plain form, but for rounding, and is each what its source says?"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from attncc.errors import BadInput, BadOption
from attncc.ir.selection import Geometry, OptionValue, Top
from attncc.selectors import antidiagonal, blocks, last_queries
from attncc.selectors.catalog import load
from attncc.selectors.choose import select
from tests.selectors.cases import (
    BLOCKS,
    DISTANCES,
    KEYS,
    SIZES,
    Sizes,
    both,
    call_of,
    members,
    seen,
    selection_of,
    tensors,
)

TOKENS = Geometry(8, 1, None)
ODD = Geometry(24, 8, None)
SHARED = Geometry(8, None, None)
CASES: tuple[tuple[str, Mapping[str, OptionValue], Geometry], ...] = (
    *(("pooled", {"tail": tail}, geometry) for tail in ("count", "padded") for geometry in (BLOCKS, TOKENS, SHARED)),
    ("pooled", {"softmax": 1}, BLOCKS),
    ("pooled", {"softmax": 1}, SHARED),
    *(("pooled", {"softmax": 1, "whole": 1}, geometry) for geometry in (BLOCKS, TOKENS, SHARED)),
    *(("chunk_mean", {"queries": how}, geometry) for how in ("mean", "max") for geometry in (BLOCKS, TOKENS, SHARED)),
    *((name, {}, geometry) for name in ("page_bound", "landmark_key") for geometry in (BLOCKS, TOKENS, ODD, SHARED)),
    *(("page_bound", {"parts": 4}, geometry) for geometry in (BLOCKS, TOKENS, ODD, SHARED)),
    *(("last_queries", {"queries": 10}, geometry) for geometry in (KEYS, DISTANCES, SHARED, BLOCKS)),
    *(("antidiagonal", {"stride": 4}, geometry) for geometry in (BLOCKS, ODD, SHARED)),
)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("name", "given", "geometry"), CASES)
def test_device_form_is_the_plain_form(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    given: Mapping[str, OptionValue],
    geometry: Geometry,
    sizes: Sizes,
) -> None:
    for causal in (True, False):
        query, key = tensors(sizes, torch.bfloat16 if causal else torch.float32)
        call = call_of(name, query, key, geometry, causal, **given)
        device, plain = both(name, call)
        assert device.dtype == torch.float32
        assert device.shape == plain.shape == (sizes.batch, sizes.q_heads, len(call.rows), call.units)
        where = seen(call)
        torch.testing.assert_close(device[:, :, where].double(), plain[:, :, where], rtol=1e-5, atol=1e-5)
        with monkeypatch.context() as little:
            for room in (blocks, last_queries, antidiagonal):
                little.setattr(room, "MOST_NUMBERS", 1)
            again = load(name).device(call)(call.rows)
        torch.testing.assert_close(again[:, :, where], device[:, :, where])


@pytest.mark.parametrize("geometry", [BLOCKS, TOKENS])
def test_page_bound_is_a_bound(geometry: Geometry) -> None:
    query, key = tensors(Sizes(40, 75))
    call = call_of("page_bound", query, key, geometry)
    bound, _ = both("page_bound", call)
    product = query @ key.repeat_interleave(2, 1).transpose(-1, -2) * call.scale
    for at, row in enumerate(call.rows):
        for unit in range(call.units):
            rows, keys = call.queries(row), call.keys(unit)
            best = product[:, :, rows.start : rows.stop, keys.start : keys.stop].amax((-1, -2))
            assert (best <= bound[:, :, at, unit] + 1e-5).all()


@pytest.mark.parametrize("name", ["chunk_mean", "page_bound", "pooled"])
def test_units_of_one_key_choose_the_largest_products(name: str) -> None:
    query, key = tensors(Sizes(30, 75))
    chosen = members(select(selection_of(name, Geometry(1, 1, None), Top(5)), query, key, 0.25, {}), 75)
    product = query.double() @ key.double().repeat_interleave(2, 1).transpose(-1, -2)
    hidden = torch.arange(75) > torch.arange(45, 75)[:, None]
    best = product.masked_fill(hidden, -torch.inf).topk(5).indices
    assert torch.equal(chosen, torch.zeros_like(chosen).scatter_(-1, best, True))


def test_every_last_query_pays_one() -> None:
    query, key = tensors(Sizes(30, 75))
    for geometry in (KEYS, DISTANCES):
        score, _ = both("last_queries", call_of("last_queries", query, key, geometry, queries=12))
        torch.testing.assert_close(score.sum(-1), torch.full((1, 4, 1), 12.0))


def test_each_group_of_queries_spreads_one() -> None:
    query, key = tensors(Sizes(64, 64))
    score, _ = both("antidiagonal", call_of("antidiagonal", query, key, BLOCKS, stride=4))
    torch.testing.assert_close(score.sum(-1), torch.full((1, 4, 4), 4.0))


def test_antidiagonals_meet_every_product_once_in_units_of_one_group() -> None:
    """With rows and units of one group, a softmax of the mean product along the antidiagonal."""
    query, key = tensors(Sizes(8, 8, q_heads=1, kv_heads=1))
    call = call_of("antidiagonal", query, key, Geometry(4, 4, None), stride=4)
    score, _ = both("antidiagonal", call)
    square = (query @ key.transpose(-1, -2))[0, 0].view(2, 4, 2, 4).permute(0, 2, 1, 3)
    sums = square.flip(-1).diagonal(dim1=-2, dim2=-1).sum(-1) * call.scale / 4
    torch.testing.assert_close(score[0, 0, 1], sums[1].softmax(-1))


def test_strides_that_do_not_divide_are_refused() -> None:
    query, key = tensors(Sizes(8, 8))
    with pytest.raises(BadOption, match="option 'stride' of the score 'antidiagonal' is 3; it must be a divisor of"):
        both("antidiagonal", call_of("antidiagonal", query, key, BLOCKS, stride=3))
    with pytest.raises(BadOption, match="option 'parts' of the score 'page_bound' is 3; it must be a divisor of"):
        both("page_bound", call_of("page_bound", query, key, BLOCKS, parts=3))


def test_given_scores_have_the_shape_of_the_choice() -> None:
    query, key = tensors(Sizes(40, 75, batch=2))
    selection = selection_of("given", BLOCKS, Top(2), {"scores": "table"})
    for shape in ((1, 1, 3, 10), (2, 3, 3, 10), (2, 4, 4, 10), (3, 1, 3, 10), (3, 10)):
        table = torch.zeros(shape)
        if shape == (1, 1, 3, 10):
            assert select(selection, query, key, 1.0, {"table": table}).count.shape == (2, 4, 3)
            continue
        with pytest.raises(BadInput, match="input 'table'"):
            select(selection, query, key, 1.0, {"table": table})
