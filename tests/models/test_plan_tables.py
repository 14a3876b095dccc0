"""Are the published tables of MInference and DuoAttention read as what they say?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from attncc.errors import PlanTableUnreadable
from attncc.models.plan import DENSE, ModelSizes
from attncc.models.plan_duo import from_duo_attention
from attncc.models.plan_file import check
from attncc.models.plan_minference import from_minference
from attncc.models.plan_text import text
from attncc.spec.origin import Origin

#: Two layers in the form of the source's files; the second leaves two heads out.
TABLE = [
    {
        "0": ["vertical_and_slash", 1000, 6096, 0.33],
        "1": ["stream_llm", 100, 800, 0.96],
        "2": ["block_sparse", 100, 800, 1],
        "3": ["vertical_and_slash", 30, 800, 0.99],
    },
    {"0": ["vertical_and_slash", 30, 800, 0.97], "3": ["vertical_and_slash", 30, 800, 0.97]},
]


def minference(folder: Path, table: object) -> Path:
    path = folder / "Some_Model_best_pattern.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    return path


def duo(folder: Path, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Path:
    path = folder / "full_attention_heads.tsv"
    np.savetxt(path, values, delimiter="\t")
    return path


def test_kinds_and_counts_of_minference(tmp_path: Path) -> None:
    plan = from_minference(minference(tmp_path, TABLE))
    first, second = plan.table(ModelSizes(2, 4, 2)).heads
    assert [head.prefill.pattern for head in first] == ["vertical_slash", "a_shape", "block_sparse", "vertical_slash"]
    assert first[0].prefill.params == (("vertical", 1000), ("slash", 6096), ("minference_exact", 1))
    assert first[1].prefill.params == (("sink", 100), ("window", 800))
    assert first[2].prefill.params == (("top", 100), ("minference_exact", 1))
    assert [dict(head.prefill.params)["slash"] for head in second] == [800, 6096, 6096, 800]
    assert all(head.decode == DENSE for head in (*first, *second))
    assert check(Origin("written", text(plan)), Path()) == plan


def test_settings_of_minference(tmp_path: Path) -> None:
    plan = from_minference(minference(tmp_path, TABLE), ModelSizes(2, 4, 1), starting_layer=1, ratio=0.5)
    first, second = plan.table(ModelSizes(2, 4, 1)).heads
    assert all(head.prefill == DENSE for head in first)
    assert dict(second[0].prefill.params) == {"vertical": 15, "slash": 400, "minference_exact": 1}


def test_a_large_table_becomes_few_rules(tmp_path: Path) -> None:
    table = [{str(head): ["vertical_and_slash", 512, 2048, 1] for head in range(32)} for _ in range(32)]
    assert len(from_minference(minference(tmp_path, table)).rules) == 1


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({}, "it is not a list with a table for each layer"),
        ([[]], "layer 0 is not a table of heads"),
        ([{"first": ["stream_llm", 1, 2, 1]}], "layer 0 has a head 'first'; heads are numbers"),
        ([{"0": ["stream_llm", 1]}], "layer 0, head 0 is not a kind and two counts"),
        ([{"0": ["stream_llm", -1, 2, 1]}], "layer 0, head 0 is not a kind and two counts"),
        ([{}, {"7": ["flex_vertical_and_slash", [0.9, 4096], [0.9, 4096], 0]}], "layer 1, head 7 is of a kind 'flex_"),
    ],
)
def test_other_json(tmp_path: Path, table: object, reason: str) -> None:
    with pytest.raises(PlanTableUnreadable) as error:
        from_minference(minference(tmp_path, table))
    assert f"is not a table of MInference: {reason}" in str(error.value)


def test_a_table_for_another_model(tmp_path: Path) -> None:
    with pytest.raises(PlanTableUnreadable, match="it has 2 layers of 4 heads, the model 3 of 4"):
        from_minference(minference(tmp_path, TABLE), ModelSizes(3, 4, 4))
    with pytest.raises(PlanTableUnreadable, match="it has 2 layers of 8 KV heads, the model 2 of 4"):
        from_duo_attention(duo(tmp_path, np.zeros((2, 8))), sizes=ModelSizes(2, 8, 4))


@pytest.mark.parametrize("sparsity", [-1.0, 0.0, 0.1, 0.25, 0.5, 0.51, 0.75, 0.999, 1.0])
def test_as_many_heads_stream_as_in_the_source(tmp_path: Path, sparsity: float) -> None:
    """The source keeps heads at or above the quantile, after a noise of 1e-6 that makes all values distinct."""
    values = np.random.default_rng(0).permutation(64).reshape(8, 8) / 64
    threshold = 2 if sparsity >= 1 else -1 if sparsity <= 0 else np.quantile(values, sparsity)
    table = from_duo_attention(duo(tmp_path, values), sparsity).table(ModelSizes(8, 16, 8))
    streaming = [[head.prefill.pattern == "a_shape" for head in row[::2]] for row in table.heads]
    assert np.array_equal(np.array(streaming), values < threshold)


def test_ties_stream_in_order_and_both_phases_agree(tmp_path: Path) -> None:
    plan = from_duo_attention(duo(tmp_path, np.ones((2, 4))), 0.5, sink=4, recent=32)
    table = plan.table(ModelSizes(2, 8, 4))
    assert [head.decode.pattern for head in table.heads[0]] == ["a_shape"] * 8
    assert all(head == table.heads[1][0] and head.prefill == DENSE for head in table.heads[1])
    assert table.heads[0][0].prefill.params == (("sink", 4), ("window", 32))
    assert check(Origin("written", text(plan)), Path()) == plan


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "its rows must all have as many numbers"),
        ("1\t0\n1\n", "its rows must all have as many numbers"),
        ("1\t0\n1 0\n", "line 2 is not numbers with tabs between them"),
        ("1\tnan\n", "line 1 has a number that is not finite"),
    ],
)
def test_other_text(tmp_path: Path, written: str, reason: str) -> None:
    path = tmp_path / "heads.tsv"
    path.write_text(written)
    with pytest.raises(PlanTableUnreadable, match=reason):
        from_duo_attention(path)
    with pytest.raises(PlanTableUnreadable, match="No such file"):
        from_duo_attention(tmp_path / "none.tsv")
