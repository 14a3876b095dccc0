"""What every method becomes when its budget holds everything, or when calls are short; and what has no room is said."""

from __future__ import annotations

import pytest
import torch

import attncc
from attncc.selectors import choose
from tests.methods.retold import SIZES, with_options
from tests.selectors.cases import Sizes, tensors

#: Budgets that no call of SIZES exceeds, in small units.
ALL = {
    "vertical_slash": {"vertical": 1000},
    "block_sparse": {"block": 8},
    "flex_prefill": {"block": 8, "share": 1000},
    "xattention": {"block": 8, "share": 1000},
    "hip": {"dense_below": 0, "sink": 8, "window": 8, "top": 1000},
    "hip_tree": {"sink": 8, "window": 8},
    "hash_neighbours": {"local": 4},
    "squeezed_attention": {"local": 4},
    "token_select": {"sink": 4, "local": 4, "rows": 16},
    "inf_llm": {"sink": 4, "local": 4, "rows": 16, "block": 8},
    "moba": {"chunk": 8, "top": 100},
    "quest": {"page": 8},
    "nsa_selected": {"block": 8},
    "triforce": {"chunk": 8},
    "lserve_decode": {"page": 8},
}


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("name", ALL)
def test_a_budget_of_everything_is_causal(name: str, sizes: Sizes) -> None:
    query, key = tensors(sizes)
    mask = attncc.Pattern.load(name, **ALL[name]).mask(query, key)
    assert torch.equal(mask, attncc.Pattern.load("causal").mask(query, key).expand(mask.shape))


@pytest.mark.parametrize("name", ["vertical_slash", "block_sparse", "hip"])
def test_short_calls_are_dense_and_choose_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    query, key = tensors(SIZES[1])
    params = {"sink": 8, "window": 8} if name == "hip" else {}
    pattern = attncc.Pattern.load(name, dense_below=76, **params)
    causal = attncc.Pattern.load("causal").mask(query, key)

    def never(*_: object) -> None:
        raise AssertionError("a short call chooses nothing")

    with monkeypatch.context() as patched:
        patched.setattr(choose, "taken", never)
        assert torch.equal(pattern.mask(query, key), causal.expand(pattern.mask(query, key).shape))
        assert sum(int(one.count.sum()) for one in pattern.select(query, key).lists.values()) == 0
    longer = attncc.Pattern.load(name, dense_below=75, **params).select(query, key)
    assert sum(int(one.count.sum()) for one in longer.lists.values()) > 0


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("name", ["moba", "quest", "hip"])
def test_units_of_one_key_are_the_largest_products(name: str, sizes: Sizes) -> None:
    """Mean and bound of one key are the key; the own key is always in."""
    if name == "hip":
        params = {"sink": 0, "window": 1, "top": 6, "block": 1, "rows": 1, "dense_below": 0}
        pattern = with_options(name, "found", {"chunk": 1, "middle": 1, "stride": 1}, **params)
    else:
        pattern = attncc.Pattern.load(name, **{{"moba": "chunk", "quest": "page"}[name]: 1, "top": 7})
    query, key = tensors(sizes)
    mask = pattern.mask(query, key)
    score = query.double() @ key.double().repeat_interleave(sizes.q_heads // sizes.kv_heads, 1).transpose(-1, -2)
    if name == "hip":
        score = score.amax(1, keepdim=True).expand(score.shape)
    q = torch.arange(sizes.kv_len - sizes.q_len, sizes.kv_len)[:, None]
    earlier = torch.arange(sizes.kv_len) < q
    rank = score.masked_fill(~earlier, -torch.inf).argsort(-1, descending=True).argsort(-1)
    assert torch.equal(mask, (earlier & (rank < 6)) | (torch.arange(sizes.kv_len) == q))


@pytest.mark.parametrize("name", ["block_sparse", "moba"])
def test_lists_without_room_say_so_and_are_prefixes(name: str) -> None:
    query, key = tensors(SIZES[1])
    (selection,) = attncc.Pattern.load(name, **ALL[name]).bound.selections
    scale = query.shape[-1] ** -0.5
    every = choose.select(selection, query, key, scale, {})
    total = int(every.count.sum())
    exact = choose.select(selection, query, key, scale, {}, total)
    short = choose.select(selection, query, key, scale, {}, total - 5)
    assert [bool(one.overflow) for one in (every, exact, short)] == [False, False, True]
    assert int(short.count.sum()) == total - 5
    assert torch.equal(short.entries, every.entries[: total - 5])
    assert not attncc.Pattern.load(name, **ALL[name]).select(query, key).overflow


def test_rows_whose_sets_are_empty_give_zero_and_minus_infinity() -> None:
    query, key = tensors(SIZES[1])
    table = torch.zeros(1, 1, 2, 2, dtype=torch.bool)
    table[:, :, 1, 0] = True
    pattern = attncc.Pattern.load("block_table")
    for compute in (attncc.attention, attncc.reference):
        out, lse = compute(query, key, key, pattern, return_lse=True, table=table)
        first = 64 - (75 - 37)
        assert not out[:, :, :first].any()
        assert lse[:, :, :first].isneginf().all()
        assert out[:, :, first:].isfinite().all()
        assert lse[:, :, first:].isfinite().all()
