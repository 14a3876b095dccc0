"""Do blocks of queries see the single keys and memory blocks that the methods name for them?"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import attncc
from attncc.ir.selection import Geometry
from attncc.selectors import lsh
from attncc.selectors.score import Call
from tests.methods.retold import SIZES, Numbers, Sequence, Truth, agrees, best, best_with, softmax
from tests.selectors.cases import Sizes

ROWS, SINK, LOCAL = 16, 5, 9
LENGTHS = (*SIZES, Sizes(110, 110, q_heads=2, kv_heads=1, head_dim=16))


def middle(one: Sequence, row: int, local: int = LOCAL) -> range:
    """The keys between the sinks and the window of the last query of a block."""
    return range(SINK, max(SINK, one.blocks(ROWS)[row][-1] + 1 - local))


@pytest.mark.parametrize("sizes", LENGTHS)
@pytest.mark.parametrize("top", [1, 20])
def test_token_select(sizes: Sizes, top: int) -> None:
    """Every head shares one vote out among the keys of the middle, for the mean query."""

    def told(one: Sequence) -> Truth:
        chosen = {}
        for row, rows in one.blocks(ROWS).items():
            keys, votes = middle(one, row), np.zeros(len(middle(one, row)))
            for head in one.heads if len(keys) else ():
                query = np.mean([one.asked(head, q) for q in rows], 0)
                votes += softmax(one.held(head, slice(keys.start, keys.stop)) @ query)
            chosen[row] = best(dict(zip(keys, votes.tolist(), strict=True)), top)
        return one.kept(lambda head, q, kv: kv < SINK or q - kv < LOCAL or kv in chosen[q // ROWS])

    params = {"rows": ROWS, "top": top, "sink": SINK, "local": LOCAL}
    agrees(attncc.Pattern.load("token_select", **params), sizes, told)


def representatives(one: Sequence, head: int, unit: int, size: int, count: int, local: int) -> list[int]:
    """The keys of a block with the largest mean products with the `local` queries after them, of all heads on them."""
    weight = {}
    for kv in range(unit * size, min(one.keys, unit * size + size)):
        first, last = (min(max(q, one.positions[0]), one.positions[-1]) for q in (kv + 1, kv + local))
        sharing = range(head * one.group, head * one.group + one.group)
        products = [float(one.scores(other, q)[kv]) for q in range(first, last + 1) for other in sharing]
        weight[kv] = sum(products) / (last + 1 - first)
    return sorted(best(weight, count))


@pytest.mark.parametrize("sizes", LENGTHS)
@pytest.mark.parametrize("top", [1, 4])
def test_inf_llm(sizes: Sizes, top: int) -> None:
    """Blocks that the window has left, by the mean product of their representatives with a chunk of queries."""
    size, count = 5, 2

    def told(one: Sequence) -> Truth:
        units = range(-(-one.keys // size))
        spoken = {
            (head, unit): representatives(one, head, unit, size, count, LOCAL)
            for head in range(len(one.key))
            for unit in units
        }
        chosen = {}
        for row, rows in one.blocks(ROWS).items():
            keys = middle(one, row)
            scores = {}
            for unit in (unit for unit in units if unit * size + size > SINK and unit * size < keys.stop):
                scores[unit] = sum(
                    float(np.mean([one.scores(head, q)[spoken[head // one.group, unit]].mean() for q in rows]))
                    for head in one.heads
                )
            chosen[row] = best(scores if len(keys) else {}, top)
        return one.kept(lambda head, q, kv: kv < SINK or q - kv < LOCAL or kv // size in chosen[q // ROWS])

    params = {"rows": ROWS, "block": size, "top": top, "representatives": count, "sink": SINK, "local": LOCAL}
    agrees(attncc.Pattern.load("inf_llm", **params), sizes, told)


def clusters(keys: Numbers, count: int, rounds: int) -> list[int]:
    """Spherical k-means from keys at equal distances."""
    unit = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    centers = unit[[number * len(keys) // count for number in range(count)]]
    for _ in range(rounds):
        label = (unit @ centers.T).argmax(1)
        for number in range(count):
            total = unit[label == number].sum(0)
            if total.any():
                centers[number] = total / np.linalg.norm(total)
    return [int(number) for number in (unit @ centers.T).argmax(1)]


def cluster_weights(one: Sequence, head: int, rows: list[int], label: list[int], count: int) -> dict[int, float]:
    """What a key weighs for the mean of the queries, were every key its cluster's mean."""
    seen = rows[-1] + 1
    owned = [[kv for kv in range(one.keys) if label[kv] == number] for number in range(count)]
    means = [one.held(head)[mine].mean(0) if mine else None for mine in owned]
    crowd = [sum(kv < seen for kv in mine) for mine in owned]
    weight = dict.fromkeys(range(seen), 0.0)
    for q in rows:
        each = [0.0 if mean is None else float(np.exp(one.asked(head, q) @ mean)) for mean in means]
        total = sum(number * one_each for number, one_each in zip(crowd, each, strict=True))
        for kv in range(seen):
            weight[kv] += each[label[kv]] / total / len(rows)
    return weight


@pytest.mark.parametrize("sizes", LENGTHS)
@pytest.mark.parametrize("top", [6, 30])
def test_squeezed_attention(sizes: Sizes, top: int) -> None:
    """One centroid for twenty keys; a key weighs what its centroid does."""

    def told(one: Sequence) -> Truth:
        count = -(-one.keys // 20)
        label = [clusters(held, count, 10) for held in one.key]
        chosen = {
            (head, row): best(cluster_weights(one, head, rows, label[head // one.group], count), top)
            for head in one.heads
            for row, rows in one.blocks(ROWS).items()
        }
        return one.kept(lambda head, q, kv: q - kv < LOCAL or kv in chosen[head, q // ROWS])

    agrees(attncc.Pattern.load("squeezed_attention", rows=ROWS, top=top, local=LOCAL), sizes, told)


def gray_rank(vector: Numbers, planes: Numbers) -> int:
    """The place of a vector's bucket: its sides, read as a Gray code, highest bit first."""
    rank = 0
    for side in reversed((vector @ planes > 0).tolist()):
        rank = 2 * rank + (side ^ (rank & 1))
    return rank


@pytest.mark.parametrize("sizes", LENGTHS)
@pytest.mark.parametrize("top", [3, 12])
def test_hash_neighbours(sizes: Sizes, top: int) -> None:
    """The keys next to the middle of the queries' own buckets, in the order of buckets; planes are drawn once."""
    options, one_key = {"bits": 3, "seed": 0}, torch.empty(1, 1, 1, 16)
    drawn = Call(one_key, one_key, 1.0, Geometry(1, None, None), True, options, {})
    planes = lsh.directions(drawn).double().numpy()

    def told(one: Sequence) -> Truth:
        chosen = {}
        for head in one.heads:
            for row, rows in one.blocks(ROWS).items():
                bucket = [gray_rank(key, planes) for key in one.held(head, slice(0, rows[-1] + 1))]
                asked = {gray_rank(one.asked(head, q), planes) for q in rows}
                middles = [sum(other < own for other in bucket) + bucket.count(own) / 2 for own in asked]
                order = sorted(range(len(bucket)), key=lambda kv: (bucket[kv], kv))
                near = {kv: -min(abs(rank + 0.5 - at) for at in middles) for rank, kv in enumerate(order)}
                chosen[head, row] = best(near, top)
        return one.kept(lambda head, q, kv: q - kv < LOCAL or kv in chosen[head, q // ROWS])

    agrees(attncc.Pattern.load("hash_neighbours", rows=ROWS, top=top, bits=3, local=LOCAL), sizes, told)


@pytest.mark.parametrize("sizes", LENGTHS)
@pytest.mark.parametrize("top", [4, 25])
def test_locret(sizes: Sizes, top: int) -> None:
    """The keys of largest importance for each KV head; the last ones of the call take their place first."""
    importance = torch.rand(sizes.batch, sizes.kv_heads, 1, sizes.kv_len, generator=torch.Generator().manual_seed(3))

    def told(one: Sequence) -> Truth:
        last = set(range(max(0, one.keys - LOCAL), one.keys))
        chosen = [
            best_with(dict(enumerate(scores.tolist())), last, top) for scores in importance[one.batch, :, 0].numpy()
        ]
        return one.kept(lambda head, q, kv: q - kv < LOCAL or kv in chosen[head // one.group])

    agrees(attncc.Pattern.load("locret", top=top, local=LOCAL), sizes, told, importance=importance)
