"""Do blocks of queries see the blocks of keys that the methods name for them?"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import attncc
from tests.methods.retold import SIZES, Numbers, Sequence, Truth, agrees, best_with, softmax
from tests.selectors.cases import Sizes

BLOCK = 8


def mean_query(one: Sequence, head: int, rows: list[int], padded: bool) -> Numbers:
    total = sum((one.asked(head, q) for q in rows), np.zeros(one.query.shape[2]))
    return total / (BLOCK if padded else len(rows))


def mean_key(one: Sequence, head: int, unit: int, padded: bool) -> Numbers:
    keys = one.held(head, slice(unit * BLOCK, unit * BLOCK + BLOCK))
    return np.asarray(keys.sum(0) / (BLOCK if padded else len(keys)))


def pooled(one: Sequence, head: int, row: int, padded: bool) -> dict[int, float]:
    """Mean query times mean keys of the blocks as far as that of the queries."""
    query = mean_query(one, head, one.blocks(BLOCK)[row], padded)
    return {unit: float(query @ mean_key(one, head, unit, padded)) for unit in range(row + 1)}


def covering(shares: dict[int, float], forced: set[int], share: float, least: int) -> set[int]:
    """The forced blocks, then the largest shares, until they cover enough and are enough."""
    found: set[int] = set()
    for unit in sorted(shares, key=lambda unit: (unit not in forced, -shares[unit], unit)):
        if sum(shares[one] for one in found) >= share * sum(shares.values()) and len(found) >= least:
            break
        found.add(unit)
    return found | forced


def seen(one: Sequence, chosen: dict[tuple[int, int], set[int]]) -> Truth:
    """`chosen` by head and block of queries."""
    return one.kept(lambda head, q, kv: kv // BLOCK in chosen[head, q // BLOCK])


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("exact", [0, 1])
@pytest.mark.parametrize("top", [1, 3])
def test_block_sparse(sizes: Sizes, exact: int, top: int) -> None:
    def told(one: Sequence) -> Truth:
        chosen = {}
        for head in one.heads:
            for row in one.blocks(BLOCK):
                forced = set() if exact else {0, row}
                chosen[head, row] = best_with(pooled(one, head, row, bool(exact)), forced, top)
        return seen(one, chosen)

    agrees(attncc.Pattern.load("block_sparse", block=BLOCK, top=top, minference_exact=exact), sizes, told)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("share", "least"), [(900, 4), (600, 1), (0, 0), (1000, 0)])
def test_flex_prefill(sizes: Sizes, share: int, least: int) -> None:
    def told(one: Sequence) -> Truth:
        chosen = {}
        for head in one.heads:
            for row in one.blocks(BLOCK):
                shares = softmax(np.array(list(pooled(one, head, row, False).values())))
                chosen[head, row] = covering(dict(enumerate(shares)), {0, row}, share / 1000, least)
        return seen(one, chosen)

    agrees(attncc.Pattern.load("flex_prefill", block=BLOCK, share=share, least=least), sizes, told)


def antidiagonal_shares(one: Sequence, head: int, row: int, stride: int) -> dict[int, float]:
    """Each group of `stride` queries shares 1 out among the groups of keys; a block gets the sum of its groups."""
    found = dict.fromkeys(range(row + 1), 0.0)
    for group in sorted({q // stride for q in one.blocks(BLOCK)[row]}):
        sums = []
        for held in range(group + 1):
            pairs = [(group * stride + stride - 1 - turn, held * stride + turn) for turn in range(stride)]
            there = [(q, kv) for q, kv in pairs if q in one.positions and kv < one.keys]
            sums.append(sum(float(one.asked(head, q) @ one.held(head, kv)) for q, kv in there) / stride)
        for held, share in enumerate(softmax(np.array(sums))):
            found[held * stride // BLOCK] += share
    return found


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("stride", "share"), [(4, 900), (2, 500), (8, 700)])
def test_xattention(sizes: Sizes, stride: int, share: int) -> None:
    def told(one: Sequence) -> Truth:
        chosen = {}
        for head in one.heads:
            for row in one.blocks(BLOCK):
                shares = antidiagonal_shares(one, head, row, stride)
                chosen[head, row] = covering(shares, {0, row}, share / 1000, 0)
        return seen(one, chosen)

    agrees(attncc.Pattern.load("xattention", block=BLOCK, stride=stride, share=share), sizes, told)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("by", ["call", "kv_head", "q_head"])
def test_block_table(sizes: Sizes, by: str) -> None:
    heads = {"call": 1, "kv_head": sizes.kv_heads, "q_head": sizes.q_heads}[by]
    first = (sizes.kv_len - sizes.q_len) // BLOCK
    rows, units = (sizes.kv_len - 1) // BLOCK + 1 - first, -(-sizes.kv_len // BLOCK)
    batch = 1 if by == "call" else sizes.batch
    table = torch.rand(batch, heads, rows, units, generator=torch.Generator().manual_seed(2)) < 0.5

    def told(one: Sequence) -> Truth:
        mine = table[one.batch % batch].numpy()
        return one.kept(lambda head, q, kv: bool(mine[head * heads // sizes.q_heads, q // BLOCK - first, kv // BLOCK]))

    agrees(attncc.Pattern.load("block_table", block=BLOCK), sizes, told, table=table)
