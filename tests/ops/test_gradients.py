"""Are gradients right, through out and through lse, whatever the size of the blocks they are computed in?"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import attncc
from attncc.ir.pattern import Alibi, Pattern, Scale, ScoreRule, Softcap
from attncc.ref import dense, plain, rows
from attncc.spec import load, lower
from tests.ops.samples import Call, call, distance, leaves

RULES: dict[str, tuple[ScoreRule, ...]] = {"plain": (), "rules": (Scale(2.0), Softcap(3.0), Alibi())}
MASKS = ["kv <= q and (kv < 2 or q - kv < 5)", "kv <= q and (head < 2 or kv % 3 == 1)", "true", "kv < q and batch == 0"]


def pattern(mask: str, score: tuple[ScoreRule, ...]) -> Pattern:
    bound = lower.lower(load.from_dict({"pattern": "sample", "mask": mask}))
    return Pattern("sample", "", "", (), bound.mask, score)


def loss(out: Tensor, lse: Tensor) -> Tensor:
    weight = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape)
    return (out * weight).sum() + (lse.masked_fill(lse.isinf(), 0) * weight[..., 0]).sum()


def gradients(bound: Pattern, tensors: Call, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Of the dense reference, computed in `dtype`."""
    query, key, value = tensors
    every = torch.arange(query.shape[2])
    out, lse = dense.attention_rows(bound, query, key, value, query.shape[3] ** -0.5, every, dtype)
    return torch.autograd.grad(loss(out, lse), tensors)


def check(bound: Pattern, tensors: Call, found: tuple[Tensor, ...]) -> None:
    """Gradients may err three times as much as those of plain attention in the same dtype."""
    query, key, value = tensors
    exact = gradients(bound, leaves((query.double(), key.double(), value.double())), torch.float64)
    narrow = gradients(bound, leaves(tensors), query.dtype)
    for ours, plainly, exactly in zip(found, narrow, exact, strict=True):
        rounding = distance(exactly.to(ours.dtype), exactly)
        assert distance(ours, exactly) <= 3 * max(distance(plainly, exactly), rounding)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("lengths", [(13, 13), (7, 20), (20, 7)])
def test_block_by_block(mask: str, rules: str, lengths: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Five rows at a time, masks and score rules of all kinds."""
    query, key, value = tensors = call(batch=2, q_len=lengths[0], kv_len=lengths[1])
    monkeypatch.setattr(rows, "MOST_SCORES", 5 * 2 * 4 * lengths[1])
    bound = pattern(mask, RULES[rules])
    out, lse = (result.requires_grad_() for result in plain.forward(bound, *tensors, 0.25))
    grad_out, grad_lse = torch.autograd.grad(loss(out, lse), (out, lse))
    with torch.no_grad():
        found = plain.backward(bound, grad_out, grad_lse, query, key, value, lse, 0.25)
    check(bound, tensors, found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_through_the_operator(dtype: torch.dtype) -> None:
    query, key, value = (tensor.to(dtype) for tensor in call())
    mine = leaves((query, key, value))
    found = torch.autograd.grad(loss(*attncc.attention(*mine, "causal", return_lse=True)), mine)
    check(attncc.Pattern.load("causal").bound, (query, key, value), found)


def test_through_out_alone_and_through_lse_alone() -> None:
    tensors = leaves(call())
    both = torch.autograd.grad(loss(*attncc.attention(*tensors, "causal", return_lse=True)), tensors)
    out, lse = attncc.attention(*tensors, "causal", return_lse=True)
    alone = [
        torch.autograd.grad(loss(out, torch.zeros_like(lse)), tensors, retain_graph=True),
        torch.autograd.grad(loss(torch.zeros_like(out), lse), tensors),
    ]
    for whole, *parts in zip(both, *alone, strict=True):
        torch.testing.assert_close(sum(parts, torch.zeros_like(whole)), whole)


def test_only_what_is_asked_for_gets_a_gradient() -> None:
    query, key, value = call()
    out = attncc.attention(query, key.requires_grad_(), value, "causal")
    out.sum().backward()
    assert key.grad is not None
    assert query.grad is None
    with torch.no_grad():
        assert not attncc.attention(query, key, value, "causal").requires_grad
