"""Do ranks compute together what one process computes, forth and back, and send no more than they say?"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from attncc import giving
from attncc.autotune.verify import BASE_ROUNDINGS, half_unit
from attncc.check import DTYPE_NAMES
from attncc.errors import NoProcessGroup, WrongShare
from attncc.parallel import attention, partition, positions, unpartition
from attncc.parallel.figures import figures
from attncc.parallel.layout import PARTITIONS, Layout, Partition
from attncc.parallel.traffic import Traffic
from attncc.ref import dense
from tests.ops.samples import distance
from tests.parallel import ranks
from tests.parallel.cases import CASES, Case
from tests.parallel.ranks import Found

Results = tuple[Tensor, ...]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the ranks have left what they found."""
    place = tmp_path_factory.mktemp("ranks")
    ranks.run(place)
    return place


def together(case: Case, found: list[Found]) -> Results:
    """out, lse and gradients of the whole sequence."""
    parts = zip(*((one.out, one.lse, *one.grads) for one in found), strict=True)
    return tuple(unpartition(list(part), case.partition) for part in parts)


def alone(case: Case, dtype: torch.dtype) -> Results:
    """The same by the dense reference, with everything computed in `dtype`."""
    pattern, one = case.load(), case.shape
    chosen = pattern.select(*case.tensors()[:2], **case.inputs())
    given = giving.given(pattern.bound, chosen.lists, case.inputs(), one.q_len, one.kv_len, make=False)
    leaves = [tensor.to(dtype).requires_grad_() for tensor in case.tensors()]
    rows = torch.arange(one.q_len)
    out, lse = dense.attention_rows(pattern.bound, *leaves, one.head_dim**-0.5, rows, dtype, given)
    of_out, of_lse = case.weights()
    loss = (out * of_out.to(dtype)).sum() + (lse.masked_fill(lse.isinf(), 0) * of_lse.to(dtype)).sum()
    return out.detach(), lse.detach(), *torch.autograd.grad(loss, leaves)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ranks_agree_with_the_reference(case: Case, folder: Path) -> None:
    """Out and lse may err as much as a kernel may (`autotune.verify`): twice as much as plain attention in the same
    dtype, and by roundings in float32, here those of merging. Gradients may err three times as much."""
    mine = together(case, ranks.found(folder, case))
    exact, plainly = alone(case, torch.float64), alone(case, case.dtype)
    for name, ours, narrow, right in zip(("out", "lse", "query", "key", "value"), mine, plainly, exact, strict=True):
        rounding = distance(right.to(ours.dtype), right)
        allowed = (2 if name in ("out", "lse") else 3) * max(distance(narrow, right), rounding)
        if name in ("out", "lse"):
            largest = float(right.masked_fill(right.isinf(), 0).abs().max())
            allowed += BASE_ROUNDINGS * half_unit(torch.float32) * largest
        assert distance(ours, right) <= allowed, name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ranks_send_what_is_said(case: Case, folder: Path) -> None:
    """Forth: keys and values, and queries where sets are chosen. Back: their gradients; and in a ring, which has not
    kept them, keys and values again."""
    one, found = case.shape, ranks.found(folder, case)
    traffic = Traffic(case.load().bound, one, Layout(one.kv_len, case.ranks, case.partition))
    said = figures(traffic, DTYPE_NAMES[case.dtype])
    assert [each.forward_bytes for each in found] == [share.bytes_sent for share in said.shares]
    of_keys = 2 * one.batch * one.kv_heads * one.head_dim * case.dtype.itemsize
    for rank, each in enumerate(found):
        forth = sum(traffic.sent(rank, other) for other in range(case.ranks))
        back = sum(traffic.sent(other, rank) for other in range(case.ranks))
        assert each.backward_bytes == (back + (forth if case.form == "ring" else 0)) * of_keys


def test_mistakes_are_said(folder: Path) -> None:
    said = torch.load(folder / "mistakes.0")
    assert said == {
        "form": "form is 'star'; known: ring, gather",
        "partition": "partition is 'random'; known: zigzag, contiguous",
        "length": "rank 0 has 16 positions; of 50 on 4 ranks (zigzag) it must have 13: share tensors out with "
        "attncc.parallel.partition",
        "whole": "pattern 'landmark' cannot be computed on several ranks in this way: its parts cannot be merged; pass "
        "form='gather'",
        "unmerged": "pattern 'block_sparse' cannot be computed on several ranks in this way: its parts cannot be "
        "merged; pass form='gather'",
    }


def test_without_a_group_nothing_is_computed() -> None:
    query = torch.randn(1, 2, 16, 16)
    with pytest.raises(NoProcessGroup, match="init_process_group"):
        attention(query, query, query, "causal")


@pytest.mark.parametrize("kind", PARTITIONS)
@pytest.mark.parametrize("length", [16, 61])
def test_a_sequence_is_taken_apart_and_put_together(kind: Partition, length: int) -> None:
    whole = torch.arange(2 * length).view(1, 2, length, 1)
    shares = [partition(whole, rank, 4, kind) for rank in range(4)]
    assert torch.equal(unpartition(shares, kind), whole)
    assert max(share.shape[2] for share in shares) - min(share.shape[2] for share in shares) <= 2
    for rank, share in enumerate(shares):
        assert torch.equal(share[0, 0, :, 0], positions(length, rank, 4, kind))
    with pytest.raises(WrongShare):
        unpartition([shares[1][:, :, 2:], shares[0], *shares[2:]], kind)
