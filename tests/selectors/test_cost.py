"""What numbers cannot see: room that lists take, scores held at a time, waiting of the host for a device."""

from __future__ import annotations

import pytest
import torch

from attncc.ir.expr import Attribute, Compare
from attncc.ir.selection import Above, Always, Geometry, Input, Mass, Rule, Top
from attncc.ir.tile import List
from attncc.selectors import choose, pack
from attncc.selectors.catalog import load, options
from attncc.selectors.choose import select
from attncc.selectors.score import Call, Scores
from attncc.selectors.tables import listed
from attncc.selectors.touched import touched
from tests.selectors.cases import BLOCKS, DISTANCES, Sizes, selection_of, tensors
from tests.selectors.test_catalog import MINE

RULES: tuple[Rule, ...] = (Top(3), Top("counts"), Mass(0.5), Mass(0.5, most=4), Above(0.1))


def test_lists_take_the_room_of_their_entries() -> None:
    query, key = tensors(Sizes(2048, 2048, head_dim=8))
    lists = select(selection_of("pooled", Geometry(16, 16, None), Top(20)), query, key, 1.0, {})
    entries = int(lists.count.sum())
    assert lists.entries.nbytes == 4 * entries
    assert lists.nbytes() <= 1.2 * 4 * entries + 12 * lists.count.numel()


@pytest.mark.parametrize("capacity", [None, 50])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", sorted(MINE))
def test_the_host_does_not_wait(monkeypatch: pytest.MonkeyPatch, name: str, rule: Rule, capacity: int | None) -> None:
    """Tensors without numbers cannot be waited for: every shape must follow from those of the call."""
    monkeypatch.setattr(pack, "MOST_UNITS", 64)
    given = {option: "table" for option, value in options(name).items() if value is None}
    geometry = DISTANCES if name == "last_queries" else Geometry(16, 16, None)
    selection = selection_of(name, geometry, rule, given, Always(first=1, own=True), "group_max", widen=16)
    query, key = (one.to("meta") for one in tensors(Sizes(64, 64)))
    inputs = {"table": torch.empty(1, 4, 4, 4), "counts": torch.empty(4, dtype=torch.int32)}
    lists = select(selection, query, key, 1.0, {name: one.to("meta") for name, one in inputs.items()}, capacity)
    assert lists.entries.is_meta
    if capacity is not None:
        assert lists.entries.shape == (capacity,)
    elif rule == Top(3) and geometry.step is None:
        assert lists.entries.shape == (2 * (1 + 2 + 3 + 3),)


def test_the_host_does_not_wait_for_tables_and_tokens() -> None:
    query, key = (one.to("meta") for one in tensors(Sizes(64, 64)))
    table = torch.empty(1, 1, 4, 8, dtype=torch.bool, device="meta")
    assert listed(Input("kept", "block", "", BLOCKS), table, query, key, 9).entries.shape == (9,)
    same = List("near", BLOCKS, Compare("==", Attribute("doc", "q"), Attribute("doc", "kv")))
    tokens = {"doc": torch.empty(1, 2, 64, dtype=torch.int32, device="meta")}
    assert touched(same, {}, tokens, 64, 64).entries.shape == (2 * 4 * 8,)


def test_scores_are_asked_for_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Counted:
        OPTIONS = options("pooled")

        def device(self, call: Call) -> Scores:
            def scores(part: range) -> torch.Tensor:
                found = load("pooled").device(call)(part)
                asked.append(found.numel())
                return found

            return scores

        plain = device

    monkeypatch.setattr(choose, "load", lambda name: Counted())
    monkeypatch.setattr(pack, "MOST_UNITS", 1000)
    query, key = tensors(Sizes(512, 512))
    select(selection_of("pooled", Geometry(8, 8, None), Top(2)), query, key, 1.0, {})
    assert max(asked) <= 1000
    assert sum(asked) == 4 * 64 * 64
