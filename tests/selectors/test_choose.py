"""Are the lists those of the slow twin, exactly, for every rule, every sharing of heads and every shape of call?"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncc.errors import BadInput
from attncc.ir.selection import HEADS, Above, Always, Geometry, Heads, Mass, Rule, Selection, Top
from attncc.lists import RowLists
from attncc.selectors import pack
from attncc.selectors.choose import select
from attncc.selectors.plain import plain_select
from attncc.selectors.score import Call
from tests.selectors.cases import BLOCKS, DISTANCES, KEYS, SIZES, Sizes, members, selection_of, tensors

RULES: tuple[Rule, ...] = (
    Top(0), Top(1), Top(3), Top(1000), Top("counts"),
    Mass(0.5), Mass(1.0), Mass(0.9, least=3), Mass(0.9, most=2), Mass(0.0, least=1),
    Above(2.0), Above(1000.0),
)  # fmt: skip
ALWAYS = st.builds(Always, st.integers(0, 3), st.integers(0, 3), st.booleans())
GEOMETRIES = st.one_of(
    st.builds(Geometry, st.sampled_from([1, 3, 8]), st.sampled_from([None, 1, 4, 16]), st.none()),
    st.builds(Geometry, st.just(1), st.none(), st.sampled_from([1, 16])),
)
SHAPES = st.builds(
    Sizes, st.integers(1, 40), st.integers(1, 60), st.integers(1, 2), st.just(4), st.sampled_from([1, 2, 4]), st.just(8)
)


def scored(selection: Selection, sizes: Sizes, values: int, seed: int) -> dict[str, torch.Tensor]:
    """Inputs with scores of few values, so that ties are the rule, some of them minus infinity; counts per head."""
    query, key = tensors(sizes)
    call = Call(query, key, 1.0, selection.geometry, selection.causal, {}, {})
    drawn = torch.Generator().manual_seed(seed)
    shape = (sizes.batch, sizes.q_heads, len(call.rows), call.units)
    table = torch.randint(values, shape, generator=drawn).float()
    table[torch.rand(shape, generator=drawn) < 0.1] = -torch.inf
    return {"table": table, "counts": torch.randint(5, (sizes.q_heads,), generator=drawn, dtype=torch.int32)}


def same(selection: Selection, sizes: Sizes, inputs: dict[str, torch.Tensor], capacity: int | None = None) -> RowLists:
    query, key = tensors(sizes)
    lists = select(selection, query, key, 1.0, inputs, capacity)
    wanted = plain_select(selection, query, key, 1.0, inputs)
    first = 0 if selection.geometry.step is None else 1 - sizes.kv_len
    assert torch.equal(members(lists, wanted.shape[-1], first), wanted)
    assert not lists.overflow
    return lists


@settings(max_examples=150)
@given(
    SHAPES, GEOMETRIES, st.sampled_from(RULES), ALWAYS, st.sampled_from(HEADS), st.booleans(),
    st.integers(1, 9), st.sampled_from([1, 4, 6]), st.integers(0, 99),
)  # fmt: skip
def test_lists_are_those_of_the_slow_twin(
    sizes: Sizes, geometry: Geometry, rule: Rule, always: Always, heads: Heads, causal: bool, widen: int, values: int,
    seed: int,
) -> None:  # fmt: skip
    selection = selection_of(
        "given", geometry, rule, {"scores": "table"}, always=always, heads=heads, causal=causal, widen=widen
    )
    lists = same(selection, sizes, scored(selection, sizes, values, seed))
    assert lists.entries.shape[0] == int(lists.count.sum())
    assert (lists.entries.dtype, lists.start.dtype, lists.count.dtype) == (torch.int32, torch.int64, torch.int32)


@pytest.mark.parametrize("capacity", [0, 1, 37, 5000])
@pytest.mark.parametrize("most_units", [1, 500, 2**22])
def test_a_fixed_pool_holds_what_it_can_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capacity: int, most_units: int
) -> None:
    monkeypatch.setattr(pack, "MOST_UNITS", most_units)
    sizes = Sizes(75, 75, batch=2)
    selection = selection_of("given", BLOCKS, Top(3), {"scores": "table"})
    inputs = scored(selection, sizes, 50, 0)
    query, key = tensors(sizes)
    whole = select(selection, query, key, 1.0, inputs)
    lists = select(selection, query, key, 1.0, inputs, capacity)
    assert lists.entries.shape == (capacity,)
    assert bool(lists.overflow) == (int(whole.count.sum()) > capacity)
    assert int(lists.count.sum()) == min(capacity, int(whole.count.sum()))
    kept, every = members(lists, 10), members(whole, 10)
    assert not (kept & ~every).any()
    assert lists.overflow or torch.equal(kept, every)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("geometry", [BLOCKS, KEYS])
def test_parts_of_the_rows_make_the_whole(monkeypatch: pytest.MonkeyPatch, sizes: Sizes, geometry: Geometry) -> None:
    selection = selection_of("given", geometry, Mass(0.7), {"scores": "table"}, heads="group_sum")
    inputs = scored(selection, sizes, 9, 1)
    same(selection, sizes, inputs)
    monkeypatch.setattr(pack, "MOST_UNITS", 1)
    same(selection, sizes, inputs)


def test_ties_go_to_the_smaller_unit() -> None:
    selection = selection_of("given", KEYS, Top(3), {"scores": "table"})
    query, key = tensors(Sizes(1, 8, q_heads=1, kv_heads=1))
    table = torch.tensor([1.0, 5.0, 1.0, 5.0, 7.0, 5.0, 1.0, 5.0]).view(1, 1, 1, 8)
    assert select(selection, query, key, 1.0, {"table": table}).entries.tolist() == [1, 3, 4]


def test_forced_units_count_and_survive() -> None:
    query, key = tensors(Sizes(16, 64, q_heads=1, kv_heads=1))
    table = torch.arange(8.0).flip(0).view(1, 1, 1, 8)
    always = Always(first=1, last=1, own=True)

    def chosen(rule: Rule) -> list[int]:
        selection = selection_of("given", BLOCKS, rule, {"scores": "table"}, always=always)
        return list(select(selection, query, key, 1.0, {"table": table}).entries.tolist())

    assert chosen(Top(2)) == [0, 6, 7]
    assert chosen(Top(4)) == [0, 1, 6, 7]
    assert chosen(Above(torch.inf)) == [0, 6, 7]


def test_numbers_that_are_none_are_not_chosen() -> None:
    query, key = tensors(Sizes(1, 4, q_heads=1, kv_heads=1))
    table = torch.tensor([torch.nan, -torch.inf, torch.inf, 0.0]).view(1, 1, 1, 4)
    for rule in (Top(3), Mass(1.0, least=3), Above(-1.0)):
        selection = selection_of("given", KEYS, rule, {"scores": "table"})
        assert select(selection, query, key, 1.0, {"table": table}).entries.tolist() == [2, 3]


def test_heads_with_counts_of_their_own() -> None:
    sizes = Sizes(1, 40)
    selection = selection_of("given", KEYS, Top("counts"), {"scores": "table"})
    inputs = scored(selection, sizes, 50, 3) | {"counts": torch.tensor([0, 3, 7, 100])}
    inputs["table"] = inputs["table"].clamp(min=0)
    assert same(selection, sizes, inputs).count.flatten().tolist() == [0, 3, 7, 40]
    with pytest.raises(BadInput, match="input 'counts' is of shape"):
        select(selection, *tensors(sizes), 1.0, inputs | {"counts": torch.ones(2)})
    grouped = selection_of("given", KEYS, Top("counts"), {"scores": "table"}, heads="group_max")
    assert same(grouped, sizes, inputs).count.flatten().tolist() == [3, 40]


@pytest.mark.parametrize("name", ["pooled", "page_bound", "chunk_mean", "landmark_key", "antidiagonal"])
def test_a_later_part_of_a_prompt_chooses_what_the_whole_does(name: str) -> None:
    given = {"stride": 4} if name == "antidiagonal" else {}
    selection = selection_of(name, BLOCKS, Top(3), given)
    query, key = tensors(Sizes(96, 96))
    whole = members(select(selection, query, key, 1.0, {}), 12)
    later = members(select(selection, query[:, :, 64:], key, 1.0, {}), 12)
    assert torch.equal(later, whole[:, :, 4:])
    earlier = members(select(selection, query[:, :, :64], key[:, :, :64], 1.0, {}), 12)
    assert torch.equal(earlier, whole[:, :, :4])


def test_distances_are_widened_and_ascend() -> None:
    selection = selection_of("last_queries", DISTANCES, Top(3), {"queries": 8}, always=Always(first=1), widen=16)
    query, key = tensors(Sizes(40, 90))
    lists = same(selection, Sizes(40, 90), {})
    again = select(selection, query, key, 1.0, {}, capacity=4)
    assert lists.count.shape == (1, 4, 1)
    assert again.overflow
    assert (lists.count >= 16).all()
    assert int(lists.entries.max()) == 15
