"""What holds for all scores that search: pieces make no difference, nothing waits, chunks of prefill agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pytest
import torch

from attncc.ir.selection import Geometry, OptionValue
from attncc.selectors import binary_tree, centroids, lsh, representatives, row_blocks, staged, vote
from attncc.selectors.score import Call, Score
from tests.selectors.structured import SHAPES, Shape, begun, normal, options

SMALL: Mapping[str, tuple[object, int, Mapping[str, OptionValue]]] = {
    "staged": (staged, 4, {"chunk": 16, "middle": 8, "keep_first": 32, "keep_middle": 16, "sink": 4, "window": 8}),
    "binary_tree": (binary_tree, 2, {"keep": 16, "sink": 2, "window": 8}),
    "centroids": (centroids, 1, {"keys_per_centroid": 6, "iterations": 2, "levels": 2}),
    "representatives": (representatives, 8, {"local": 8}),
    "lsh": (lsh, 1, {"bits": 4}),
    "vote": (vote, 4, {"pool": 3}),
}
#: Whose scores depend on nothing but what the row block sees.
PRESENT = ("staged", "binary_tree", "lsh", "vote")


def small(name: str) -> tuple[Score, int, dict[str, OptionValue]]:
    score, size, changed = SMALL[name]
    known = cast(Score, score)
    return known, size, options(known, **changed)


@pytest.mark.parametrize("shape", [SHAPES[1], SHAPES[5], SHAPES[6]])
@pytest.mark.parametrize("name", SMALL)
def test_work_in_pieces_gives_the_same(name: str, shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    score, size, changed = small(name)
    call = normal(shape, size, changed)
    at_once = score.device(call)(call.rows)
    for most in (200, 3000):
        monkeypatch.setattr(row_blocks, "MOST_HELD", most)
        torch.testing.assert_close(score.device(call)(call.rows), at_once)


@pytest.mark.parametrize("shape", [SHAPES[1], SHAPES[2], SHAPES[6]])
@pytest.mark.parametrize("name", SMALL)
def test_the_host_waits_for_no_device_and_all_is_on_it(name: str, shape: Shape) -> None:
    score, size, changed = small(name)
    # Tensors without numbers: to read one, or to mix them with tensors of the host, is an error.
    query = torch.empty(shape.batch, shape.q_heads, shape.q_len, 64, device="meta", dtype=torch.bfloat16)
    key = torch.empty(shape.batch, shape.kv_heads, shape.kv_len, 64, device="meta", dtype=torch.bfloat16)
    call = Call(query, key, 0.125, Geometry(size, shape.rows, None), True, changed, {})
    found = score.device(call)(call.rows)
    assert found.device.type == "meta"
    assert found.shape == (shape.batch, shape.q_heads, len(call.rows), call.units)


@pytest.mark.parametrize("name", PRESENT)
def test_a_chunk_of_prefill_scores_as_the_whole_does(name: str) -> None:
    score, size, changed = small(name)
    call = normal(Shape(1, 4, 2, 160, 160, 16), size, changed)
    at_once = score.device(call)(call.rows)
    for start, stop in ((0, 64), (64, 80), (32, 160)):
        chunk = begun(call, start, stop)
        found = score.device(chunk)(chunk.rows)
        for row, block in enumerate(chunk.rows):
            seen = -(-(block * 16 + 16) // size)
            torch.testing.assert_close(found[:, :, row, :seen], at_once[:, :, block, :seen])


def test_decode_scores_as_the_last_row_alone_would() -> None:
    for name in PRESENT:
        score, size, changed = small(name)
        call = normal(Shape(1, 4, 2, 90, 90, 1), size, changed)
        last = begun(call, 89, 90)
        torch.testing.assert_close(score.device(last)(last.rows), score.device(call)(call.rows[-1:]))
