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


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("lengths", [(13, 13), (7, 20), (20, 7)])
def test_backward_pass(mask: str, rules: str, lengths: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = tensors = leaves(call(batch=2, q_len=lengths[0], kv_len=lengths[1]))
    monkeypatch.setattr(rows, "MOST_SCORES", 5 * 2 * 4 * lengths[1])
    bound = pattern(mask, RULES[rules])
    exact_out, exact_lse = dense.attention(bound, query, key, value, 0.25)
    exact = torch.autograd.grad(loss(exact_out, exact_lse), tensors)
    out, lse = plain.forward(bound, query.detach(), key.detach(), value.detach(), 0.25)
    assert distance(out, exact_out) < 2e-6
    assert distance(lse, exact_lse) < 2e-6
    grad_out, grad_lse = torch.autograd.grad(loss(exact_out, exact_lse), (exact_out, exact_lse))
    with torch.no_grad():
        found = plain.backward(bound, grad_out.float(), grad_lse.float(), query, key, value, lse, 0.25)
    for ours, theirs in zip(found, exact, strict=True):
        assert distance(ours, theirs) < 4e-6


def errors(name: str, tensors: Call, exact: tuple[Tensor, ...]) -> list[tuple[float, float]]:
    """(ours, what a plain implementation in the same dtype makes) for each gradient."""
    bound = attncc.Pattern.load(name).bound
    query, key, value = mine = leaves(tensors)
    found = torch.autograd.grad(loss(*attncc.attention(*mine, name, return_lse=True)), mine)
    every = torch.arange(query.shape[2])
    narrow = dense.attention_rows(bound, query, key, value, query.shape[3] ** -0.5, every, query.dtype)
    same = torch.autograd.grad(loss(*narrow), mine)
    return [(distance(a, e), distance(b, e)) for a, b, e in zip(found, same, exact, strict=True)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_errors_are_at_most_three_times_those_of_plain_attention(dtype: torch.dtype) -> None:
    query, key, value = (tensor.to(dtype) for tensor in call())
    wide = leaves((query.double(), key.double(), value.double()))
    exact = torch.autograd.grad(loss(*attncc.reference(*wide, "causal", return_lse=True)), wide)
    for ours, plainly in errors("causal", (query, key, value), exact):
        assert ours <= 3 * plainly


def test_through_out_alone_and_through_lse_alone() -> None:
    tensors = leaves(call())
    out, lse = attncc.attention(*tensors, "causal", return_lse=True)
    wide_out, wide_lse = attncc.reference(*tensors, "causal", return_lse=True)
    for ours, exact in ((out, wide_out), (lse, wide_lse)):
        found = torch.autograd.grad(ours.sum(), tensors, retain_graph=True)
        wanted = torch.autograd.grad(exact.sum(), tensors, retain_graph=True, materialize_grads=True)
        for one, other in zip(found, wanted, strict=True):
            assert distance(one, other) < 1e-5


def test_only_what_is_asked_for_gets_a_gradient() -> None:
    query, key, value = call()
    out = attncc.attention(query, key.requires_grad_(), value, "causal")
    out.sum().backward()
    assert key.grad is not None
    assert query.grad is None
    with torch.no_grad():
        assert not attncc.attention(query, key, value, "causal").requires_grad
