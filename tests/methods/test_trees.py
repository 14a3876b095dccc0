"""Do the searches of HiP find the blocks that their stages and halves lead to?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

import attncc
from tests.methods.retold import SIZES, Numbers, Sequence, Truth, agrees, best, with_options
from tests.selectors.cases import Sizes

#: Lengths for three stages and for halves.
LENGTHS = (*SIZES[1:], Sizes(150, 150, q_heads=2, kv_heads=1, head_dim=16))
SINK, WINDOW, ROWS, BLOCK = 8, 12, 16, 4


@dataclass(frozen=True, slots=True)
class Stages:
    """Chunks of three sizes; how many chunks go on after the first two stages; rows averaged in each stage."""

    chunks: tuple[int, int, int] = (32, 8, BLOCK)
    kept: tuple[int, int] = (3, 8)
    strides: tuple[int, int, int] = (4, 4, 1)


def averaged(one: Sequence, head: int, row: int, stride: int) -> Numbers:
    """Each `stride` consecutive queries of a block, averaged as far as they exist."""
    together: dict[int, list[Numbers]] = {}
    for q in one.blocks(ROWS)[row]:
        together.setdefault(q // stride, []).append(one.asked(head, q))
    return np.array([np.mean(some, 0) for some in together.values()])


def descent(products: Numbers, low: int, high: int) -> float:
    """The largest product of any half that won on the way down to one key; ties go right."""
    found = -np.inf
    while True:
        middle = (low + high) // 2
        left, right = float(products[(low + middle) // 2]), float(products[(middle + high) // 2])
        found = max(found, left, right)
        if high - low <= 1:
            return found
        low, high = (middle, high) if right >= left else (low, middle)


def staged(one: Sequence, row: int, stages: Stages, top: int) -> set[int]:
    """The blocks found for a block of queries, by all heads."""
    stop = one.blocks(ROWS)[row][-1] + 1 - WINDOW
    lows = list(range(SINK // BLOCK * BLOCK, stop, stages.chunks[0]))
    for number, (chunk, stride) in enumerate(zip(stages.chunks, stages.strides, strict=True)):
        scores = dict.fromkeys(lows, -np.inf)
        for head in one.heads:
            products = (averaged(one, head, row, stride) @ one.held(head).T).max(0)
            for low in lows:
                scores[low] = max(scores[low], descent(products, low, min(low + chunk, stop)))
        if number == 2:
            return {low // BLOCK for low in best(scores, top)}
        finer = stages.chunks[number + 1]
        lows = [part for low in best(scores, stages.kept[number]) for part in range(low, low + chunk, finer)]
        lows = [low for low in lows if low < stop]
    raise AssertionError("there are three stages")


@pytest.mark.parametrize("sizes", LENGTHS)
@pytest.mark.parametrize(("stages", "top"), [(Stages(), 3), (Stages((16, 16, 4), (5, 2), (2, 2, 4)), 5)])
def test_hip(sizes: Sizes, stages: Stages, top: int) -> None:
    def told(one: Sequence) -> Truth:
        found = {row: staged(one, row, stages, top) for row in one.blocks(ROWS)}
        return one.kept(lambda head, q, kv: kv < SINK or q - kv < WINDOW or kv // BLOCK in found[q // ROWS])

    options = {
        "chunk": stages.chunks[0],
        "middle": stages.chunks[1],
        "keep_first": stages.kept[0] * stages.chunks[0],
        "keep_middle": stages.kept[1] * stages.chunks[1],
        "stride": stages.strides[0],
        "stride_last": stages.strides[2],
    }
    params = {"sink": SINK, "window": WINDOW, "top": top, "block": BLOCK, "rows": ROWS, "dense_below": 0}
    agrees(with_options("hip", "found", options, **params), sizes, told)


def test_the_stages_of_hip_are_those_of_its_source() -> None:
    (found,) = attncc.Pattern.load("hip").bound.selections
    options = dict(found.options)
    assert [options[name] for name in ("chunk", "middle")] == [256, 32]
    assert [options[name] for name in ("keep_first", "keep_middle")] == [32768, 8192]
    assert [options[name] for name in ("stride", "stride_last", "share")] == [4, 1, "all"]
    assert found.geometry.size == 8


def halved(one: Sequence, head: int, row: int, groups: int) -> set[int]:
    """The units that are left when the better halves of all groups have been single ones for long enough."""
    sampled = [q for q in one.blocks(ROWS)[row] if q % 2 == 1 or q == one.positions[-1]]
    stop = one.blocks(ROWS)[row][-1] + 1 - WINDOW
    begin = SINK // BLOCK
    units = max(0, -(-stop // BLOCK) - begin)

    def score(half: tuple[int, int]) -> float:
        center = sum(half) // 2
        held = one.held(head, slice(center * BLOCK, min(stop, center * BLOCK + BLOCK)))
        return max(float(one.asked(head, q) @ key) for q in sampled for key in held)

    edges = [begin + units * group // groups for group in range(groups + 1)]
    left = [(low, high) for low, high in pairwise(edges) if low < high]
    while any(high - low > 1 for low, high in left):
        halves = [
            half
            for low, high in left
            for half in ((low, (low + high) // 2), ((low + high) // 2, high))
            if half[0] < half[1]
        ]
        scores = {half[0]: score(half) for half in halves}
        left = [half for half in halves if half[0] in best(scores, groups)]
    return {low for low, _ in left}


@pytest.mark.parametrize("sizes", LENGTHS)
@pytest.mark.parametrize("groups", [3, 8])
def test_hip_tree(sizes: Sizes, groups: int) -> None:
    def told(one: Sequence) -> Truth:
        found = {(head, row): halved(one, head, row, groups) for head in one.heads for row in one.blocks(ROWS)}
        return one.kept(lambda head, q, kv: kv < SINK or q - kv < WINDOW or kv // BLOCK in found[head, q // ROWS])

    params = {"sink": SINK, "window": WINDOW, "keep": groups * BLOCK, "block": BLOCK, "rows": ROWS}
    agrees(attncc.Pattern.load("hip_tree", **params), sizes, told)
