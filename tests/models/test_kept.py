"""Do choices that are handed on serve the right layers, heads and steps?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from transformers import DynamicCache, PreTrainedModel

import attncc
from attncc.errors import PatternDoesNotFit
from attncc.models.kept import Choice, taken_over
from attncc.models.plan import Plan, Rule, Use
from attncc.models.plan_spans import All, Range
from attncc.models.registering import register
from tests.models.samples import distance, logits, model, padded, prompt
from tests.ops.samples import call

PARAMS = (("block", 4), ("top", 4))
BLOCKS = attncc.Pattern.load("block_sparse", **dict(PARAMS))


SHARED = Use("block_sparse", PARAMS, share="found")


def plan(name: str, second: Use, first: Use = SHARED) -> Plan:
    """The first layer chooses, the second one runs `second`."""
    rules = (Rule((Range(0, 0),), (All(),), "first", "first"), Rule((Range(1, 1),), (All(),), "second", "second"))
    return Plan(name, "", "", "kv", (("first", first), ("second", second)), rules)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of keys of every choice that is made."""
    made: list[int] = []
    select = attncc.Pattern.select

    def counted(self: attncc.Pattern, query: torch.Tensor, key: torch.Tensor, **given: torch.Tensor) -> object:
        made.append(key.shape[2])
        return select(self, query, key, **given)

    monkeypatch.setattr(attncc.Pattern, "select", counted)
    return made


def test_sets_are_taken_over_head_by_head() -> None:
    query, key, value = call(batch=2, q_heads=4, kv_heads=2)
    whole = BLOCKS.select(query, key)
    pieces = [
        Choice((BLOCKS.select(query[:, at], key[:, over]),), heads)
        for at, over, heads in ((slice(2, 4), slice(1, 2), (2, 3)), (slice(0, 2), slice(0, 1), (0, 1)))
    ]
    again = taken_over(pieces, (0, 1, 2, 3)).sets[0]
    wanted = attncc.attention(query, key, value, BLOCKS, selection=whole)
    assert torch.equal(attncc.attention(query, key, value, BLOCKS, selection=again), wanted)
    some = taken_over(pieces, (1, 3)).sets[0]
    assert torch.equal(attncc.attention(query[:, 1::2], key, value, BLOCKS, selection=some), wanted[:, 1::2])


def test_a_later_layer_takes_over(chosen: list[int]) -> None:
    one = model("Llama")
    name = register(plan("handed", Use("block_sparse", PARAMS, reuse="found")))
    alone = logits(one, register(plan("alone", Use("block_sparse", PARAMS), Use("block_sparse", PARAMS))), prompt())
    chosen.clear()
    found = logits(one, name, prompt())
    assert len(chosen) == 1
    assert distance(found, alone) > 1e-3


def test_a_choosing_layer_may_see_everything() -> None:
    """Then the second layer, which has blocks enough for all keys, is dense too."""
    params, one = (("block", 4), ("top", 100)), model("Llama")
    first = Use("block_sparse", params, share="found", attend_all=True)
    name = register(plan("watching", Use("block_sparse", params, reuse="found"), first))
    ids, mask = padded(prompt(2), [0, 6], "left")
    exact = logits(one, "attncc", ids, attention_mask=mask)[mask.bool()]
    assert distance(logits(one, name, ids, attention_mask=mask)[mask.bool()], exact) < 1e-5
    some = Use("block_sparse", PARAMS, share="found", attend_all=True)
    name = register(plan("watching", Use(None), some))
    assert distance(logits(one, name, ids, attention_mask=mask)[mask.bool()], exact) < 1e-5


def test_padding_is_left_out_of_choices_that_are_handed_on() -> None:
    one, name = model("Llama"), register(plan("handed", Use("block_sparse", PARAMS, reuse="found")))
    ids, mask = padded(prompt(2), [0, 6], "left")
    found = logits(one, name, ids, attention_mask=mask)
    for row, real in enumerate(mask.bool()):
        assert distance(found[row, real], logits(one, name, ids[row : row + 1, real])[0]) < 1e-5


def test_a_choice_that_was_not_made() -> None:
    """Here the sharing heads are dense, for the call is short."""
    first = Use("block_sparse", PARAMS, dense_below=100, share="found")
    name = register(plan("late", Use("block_sparse", PARAMS, reuse="found"), first))
    with pytest.raises(PatternDoesNotFit, match="no earlier layer has chosen 'found' in this call"):
        logits(model("Llama"), name, prompt(1, 22))


def steps(one: PreTrainedModel, name: str, ids: torch.Tensor, count: int) -> Iterator[torch.Tensor]:
    cache = DynamicCache(config=one.config)
    logits(one, name, ids[:, :-count], cache=cache)
    for at in range(ids.shape[1] - count, ids.shape[1]):
        yield logits(one, name, ids[:, at : at + 1], cache=cache)


def test_a_choice_serves_steps(chosen: list[int]) -> None:
    one, pages = model("Llama"), (("page", 4), ("top", 3))
    refreshed = plan("refreshed", Use("quest", pages, refresh=3), Use("quest", pages, refresh=3))
    name = register(refreshed)
    ids = prompt(1, 27)
    list(steps(one, name, ids, 7))
    decoding = [kv_len for kv_len in chosen if kv_len > 20]
    assert decoding == [21, 21, 24, 24, 27, 27]
    # Another conversation is told by its keys, though it has the right length.
    chosen.clear()
    first, second = steps(one, name, ids, 7), steps(one, name, prompt(2, 27)[1:], 6)
    next(first), next(second)
    assert [kv_len for kv_len in chosen if kv_len > 20] == [21, 21, 22, 22]
