"""Does a landmark's weight go to the keys of its block, in training and in retrieval, and back in the gradients?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

import attncc
from tests.methods.retold import SIZES, Numbers, Sequence, best, sequences, softmax
from tests.ops.samples import distance
from tests.selectors.cases import Sizes, tensors

BLOCK = 8
LENGTHS = (*SIZES, Sizes(1, 1, head_dim=16), Sizes(61, 61, batch=1, q_heads=2, kv_heads=1, head_dim=16))

#: Lengths for which kernels are built too.
BUILT = (SIZES[1],)


@dataclass(frozen=True, slots=True)
class Gated:
    """One row: `joint` is the weight of own keys and of the landmarks before, `inner` that of keys in their block."""

    joint: dict[int, float]
    inner: dict[int, dict[int, float]]

    def weights(self, keys: int) -> Numbers:
        found = np.zeros(keys)
        for kv, weight in self.joint.items():
            block = kv // BLOCK
            for other, share in self.inner.get(block, {kv: 1.0}).items():
                found[other] += weight * share
        return found


def gated(one: Sequence, head: int, q: int, retrieved: set[int]) -> Gated:
    """The row at q, which sees its own block and those `retrieved`."""
    score, own = one.scores(head, q), q // BLOCK
    group = [kv for kv in range(own * BLOCK, q + 1) if kv % BLOCK != BLOCK - 1]
    group = sorted(block * BLOCK + BLOCK - 1 for block in retrieved) + group
    joint = dict(zip(group, softmax(score[group]).tolist(), strict=True))
    inner = {}
    for block in retrieved:
        ordinary = range(block * BLOCK, block * BLOCK + BLOCK - 1)
        inner[block] = dict(zip(ordinary, softmax(score[list(ordinary)]).tolist(), strict=True))
    return Gated(joint, inner)


def everything(one: Sequence, head: int, q: int) -> set[int]:
    return set(range(q // BLOCK))


def call(sizes: Sizes) -> tuple[Tensor, Tensor, Tensor]:
    query, key = (tensor.contiguous() for tensor in tensors(sizes))
    return query, key, torch.randn(key.shape, generator=torch.Generator().manual_seed(1))


def wanted(one: Sequence, value: Numbers, retrieved: Mapping[tuple[int, int], set[int]]) -> Numbers:
    out = np.zeros(one.query.shape)
    for head in one.heads:
        for row, q in enumerate(one.positions):
            weight = gated(one, head, q, retrieved[head, q]).weights(one.keys)
            assert abs(weight.sum() - 1) < 1e-12
            assert not weight[BLOCK - 1 :: BLOCK].any()
            out[head, row] = weight @ value[head // one.group]
    return out


@pytest.mark.parametrize("sizes", LENGTHS)
def test_in_training_all_earlier_blocks_take_part(sizes: Sizes) -> None:
    query, key, value = call(sizes)
    pattern = attncc.Pattern.load("landmark", block=BLOCK)
    out = attncc.reference(query.double(), key.double(), value.double(), pattern).numpy()
    close = attncc.attention(query, key, value, pattern) if sizes in BUILT else torch.from_numpy(out)
    for one in sequences(query, key):
        every = {(head, q): everything(one, head, q) for head in one.heads for q in one.positions}
        told = wanted(one, value[one.batch].double().numpy(), every)
        np.testing.assert_allclose(out[one.batch], told, rtol=0, atol=1e-12)
        np.testing.assert_allclose(close[one.batch].numpy(), told, rtol=0, atol=1e-5)


@pytest.mark.parametrize("sizes", LENGTHS)
@pytest.mark.parametrize("rows", [1, BLOCK, 2 * BLOCK])
@pytest.mark.parametrize("top", [0, 2])
def test_retrieval_shares_one_out_among_what_is_retrieved(sizes: Sizes, rows: int, top: int) -> None:
    """The blocks of the chunk, and those before it whose landmarks score best for any query of it."""
    query, key, value = call(sizes)
    pattern = attncc.Pattern.load("landmark_retrieval", block=BLOCK, rows=rows, top=top)
    out = attncc.reference(query.double(), key.double(), value.double(), pattern).numpy()
    close = attncc.attention(query, key, value, pattern) if sizes in BUILT and top else torch.from_numpy(out)
    for one in sequences(query, key):
        retrieved = {}
        for head in one.heads:
            for chunk, asked in one.blocks(rows).items():
                first = chunk * rows // BLOCK
                marks = {block: block * BLOCK + BLOCK - 1 for block in range(first)}
                likes = {block: max(float(one.scores(head, q)[mark]) for q in asked) for block, mark in marks.items()}
                for q in asked:
                    retrieved[head, q] = best(likes, top) | set(range(first, q // BLOCK))
        told = wanted(one, value[one.batch].double().numpy(), retrieved)
        np.testing.assert_allclose(out[one.batch], told, rtol=0, atol=1e-12)
        np.testing.assert_allclose(close[one.batch].numpy(), told, rtol=0, atol=1e-5)


@pytest.mark.parametrize("sizes", LENGTHS)
@pytest.mark.parametrize("rows", [1, BLOCK])
def test_retrieving_every_block_is_training(sizes: Sizes, rows: int) -> None:
    training = attncc.Pattern.load("landmark", block=BLOCK)
    retrieval = attncc.Pattern.load("landmark_retrieval", block=BLOCK, rows=rows, top=100)
    tensors = call(sizes)
    one, other = (attncc.reference(*tensors, pattern, return_lse=True) for pattern in (training, retrieval))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


@pytest.mark.parametrize("function", [attncc.reference, attncc.attention])
def test_the_value_of_a_landmark_is_inert_and_so_is_its_key_within_its_block(function: object) -> None:
    compute = attncc.reference if function is attncc.reference else attncc.attention
    query, key, value = call(LENGTHS[0])
    pattern = attncc.Pattern.load("landmark", block=BLOCK)
    before = compute(query, key, value, pattern)
    value[:, :, BLOCK - 1 :: BLOCK] += 100.0
    assert torch.equal(compute(query, key, value, pattern), before)
    key[:, :, 3 * BLOCK + BLOCK - 1] += 1.0
    after = compute(query, key, value, pattern)
    assert torch.equal(after[:, :, : 4 * BLOCK], before[:, :, : 4 * BLOCK])
    assert not torch.equal(after[:, :, 4 * BLOCK :], before[:, :, 4 * BLOCK :])


def test_a_weight_of_one_in_each_row() -> None:
    query, key, value = call(LENGTHS[1])
    pattern = attncc.Pattern.load("landmark", block=BLOCK)
    ones = attncc.attention(query, key, torch.ones_like(value), pattern)
    torch.testing.assert_close(ones, torch.ones_like(ones))


def gradients(one: Sequence, value: Numbers, grad_out: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Of query, key and value: for a landmark the difference between the output of its block and that of the row, for
    its keys that between their value and the output of the block."""
    grad = tuple(np.zeros(part.shape) for part in (one.query, one.key, value))
    scale = one.query.shape[2] ** -0.5
    for head in one.heads:
        owner = head // one.group
        for row, q in enumerate(one.positions):
            found, pull = gated(one, head, q, everything(one, head, q)), grad_out[head, row]
            weight = found.weights(one.keys)
            mean = float(pull @ (weight @ value[owner]))
            score = np.zeros(one.keys)
            for kv, joint in found.joint.items():
                inner = found.inner.get(kv // BLOCK)
                if inner is None:
                    score[kv] = joint * (float(pull @ value[owner, kv]) - mean)
                    continue
                within = sum(share * float(pull @ value[owner, other]) for other, share in inner.items())
                score[kv] = joint * (within - mean)
                for other, share in inner.items():
                    score[other] = joint * share * (float(pull @ value[owner, other]) - within)
            grad[0][head, row] += score @ one.held(head) * scale
            grad[1][owner] += score[:, None] * one.query[head, row] * scale
            grad[2][owner] += weight[:, None] * pull
    return grad[0], grad[1], grad[2]


@pytest.mark.parametrize("sizes", [SIZES[1], LENGTHS[-1]])
def test_gradients_go_through_both_softmaxes(sizes: Sizes) -> None:
    leaves = [tensor.requires_grad_() for tensor in call(sizes)]
    pattern = attncc.Pattern.load("landmark", block=BLOCK)
    out = attncc.attention(leaves[0], leaves[1], leaves[2], pattern)
    pull = torch.randn(out.shape, generator=torch.Generator().manual_seed(5))
    out.backward(pull)
    for one in sequences(leaves[0].detach(), leaves[1].detach()):
        value = leaves[2].detach()[one.batch].double().numpy()
        for leaf, told in zip(leaves, gradients(one, value, pull[one.batch].double().numpy()), strict=True):
            assert leaf.grad is not None
            assert distance(leaf.grad[one.batch], torch.from_numpy(told)) < 1e-5
