"""Do ranks compute together what one process computes, forth and back, and send no more than they say?"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import attncc
from attncc import giving
from attncc.parallel import unpartition
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
    """Out and lse may err twice, gradients three times as much as plain attention in the same dtype."""
    mine = together(case, ranks.found(folder, case))
    exact, plainly = alone(case, torch.float64), alone(case, case.dtype)
    for name, ours, narrow, right in zip(("out", "lse", "query", "key", "value"), mine, plainly, exact, strict=True):
        rounding = distance(right.to(ours.dtype), right)
        allowed = (2 if name in ("out", "lse") else 3) * max(distance(narrow, right), rounding)
        assert distance(ours, right) <= allowed, name
