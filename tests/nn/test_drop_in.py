"""Does the drop-in return what PyTorch's own function returns, for every kind of call, and say when it cannot?"""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention as sdpa

import attncc
from attncc import once
from attncc.nn import SparseAttention, instead_of_sdpa, scaled_dot_product_attention
from tests.ops.samples import call, distance, leaves

A_SHAPE = attncc.Pattern.load("a_shape", sink=2, window=5)
GROUPED = {"enable_gqa": True}


@pytest.fixture(autouse=True)
def nothing_said() -> None:
    once.say_once.cache_clear()


def agrees(*tensors: Tensor, allowed: float = 1e-5, **given: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scaled_dot_product_attention(*tensors, **given)
    wanted = sdpa(*tensors, **given)
    assert found.shape == wanted.shape
    assert distance(found, wanted) <= allowed


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(("q_len", "kv_len"), [(33, 33), (7, 40), (40, 7), (1, 65)])
def test_lengths_and_the_alignment_of_pytorch(q_len: int, kv_len: int, is_causal: bool) -> None:
    agrees(*call(batch=2, q_len=q_len, kv_len=kv_len), is_causal=is_causal, **GROUPED)


@pytest.mark.parametrize("scale", [None, 0.5])
@pytest.mark.parametrize("shape", [(5, 8), (3, 5, 8), (2, 3, 5, 8), (2, 2, 3, 5, 8), (2, 3, 5, 10), (2, 3, 5, 256)])
def test_dimensions(shape: tuple[int, ...], scale: float | None) -> None:
    tensors = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    agrees(*tensors, is_causal=True, scale=scale)


def test_values_of_another_width() -> None:
    query, key, value = call(kv_heads=4)
    agrees(query, key, value[..., :9], is_causal=True)
    agrees(query, key, torch.cat([value, value], -1))


@pytest.mark.parametrize("mask_shape", [(1, 33), (2, 1, 1, 33), (1, 1, 1, 33)])
def test_padding(mask_shape: tuple[int, ...]) -> None:
    mask = torch.ones(mask_shape, dtype=torch.bool)
    mask[..., -1, 20:] = False
    agrees(*call(batch=2), attn_mask=mask, **GROUPED)


@pytest.mark.parametrize("dtype", [torch.bfloat16])
def test_dtypes(dtype: torch.dtype) -> None:
    tensors = [tensor.to(dtype) for tensor in call()]
    exact = sdpa(*(tensor.double() for tensor in tensors), is_causal=True, **GROUPED)
    bound = 2 * distance(sdpa(*tensors, is_causal=True, **GROUPED), exact)
    assert distance(scaled_dot_product_attention(*tensors, is_causal=True, **GROUPED), exact) <= bound


def test_gradients() -> None:
    ours, theirs = leaves(call()), leaves(call())
    scaled_dot_product_attention(*ours, is_causal=True, **GROUPED).square().sum().backward()
    sdpa(*theirs, is_causal=True, **GROUPED).square().sum().backward()
    for one, other in zip(ours, theirs, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert distance(one.grad, other.grad) < 1e-4


@pytest.mark.parametrize(
    ("reason", "given"),
    [
        ("kernels have no dropout", {"dropout_p": 0.5}),
        ("the mask is added to scores", {"attn_mask": torch.zeros(33, 33)}),
        ("the mask differs between queries", {"attn_mask": torch.ones(33, 33, dtype=torch.bool).tril()}),
    ],
)
def test_what_goes_to_pytorch_is_said_once(reason: str, given: dict[str, object]) -> None:
    tensors = call(kv_heads=4)
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match=f"scaled_dot_product_attention goes to PyTorch: .*{reason}"):
        found = scaled_dot_product_attention(*tensors, **given)
    torch.manual_seed(0)
    assert torch.equal(found, sdpa(*tensors, **given))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled_dot_product_attention(*tensors, **given)


def test_other_types_and_wrong_calls_are_pytorchs_matter() -> None:
    with pytest.warns(UserWarning, match="kernels exist for float32, float16, bfloat16"):
        scaled_dot_product_attention(*(tensor.double() for tensor in call(kv_heads=4)))
    with pytest.warns(UserWarning, match="the heads do not go together"), pytest.raises(RuntimeError):
        scaled_dot_product_attention(*call())


def test_a_pattern() -> None:
    tensors = call(batch=2)
    exact = attncc.reference(*tensors, A_SHAPE)
    for given in ({}, {"is_causal": True}):
        assert distance(scaled_dot_product_attention(*tensors, pattern=A_SHAPE, **given, **GROUPED), exact) < 1e-5
    step = scaled_dot_product_attention(tensors[0][:, :, -1:], *tensors[1:], pattern=A_SHAPE, **GROUPED)
    assert distance(step, exact[:, :, -1:]) < 1e-5
    with pytest.warns(UserWarning, match="goes to PyTorch, without the pattern: there are more queries than keys"):
        scaled_dot_product_attention(*call(q_len=9, kv_len=4), pattern="causal", **GROUPED)


class Block(nn.Module):
    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        prompt = sdpa(query, key, value, is_causal=True)
        return prompt, sdpa(query[:, :, -1:], key, value), sdpa(query, key, value)


def test_in_place_of_pytorch() -> None:
    query, key, value = call(kv_heads=4)
    exact = attncc.reference(query, key, value, A_SHAPE)
    with instead_of_sdpa(A_SHAPE):
        prompt, step, both_sides = Block()(query, key, value)
    assert distance(prompt, exact) < 1e-5
    assert distance(step, exact[:, :, -1:]) < 1e-5
    assert distance(both_sides, sdpa(query, key, value)) < 1e-5
    assert distance(Block()(query, key, value)[0], exact) > 1e-2


def test_one_graph() -> None:
    torch.compiler.reset()
    tensors = call(batch=2, kv_heads=4)
    mask = torch.ones(2, 1, 1, 33, dtype=torch.bool)

    def both(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        causal = scaled_dot_product_attention(query, key, value, is_causal=True)
        return causal, scaled_dot_product_attention(query, key, value, mask)

    compiled = torch.compile(both, fullgraph=True, backend="aot_eager")
    for one, other in zip(compiled(*tensors), both(*tensors), strict=True):
        assert distance(one, other) < 1e-6


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_the_module(kv_heads: int) -> None:
    torch.manual_seed(0)
    layer = SparseAttention(64, 4, kv_heads=kv_heads, pattern=A_SHAPE, bias=True)
    hidden = torch.randn(2, 21, 64)
    query, key, value = (
        part(hidden).unflatten(-1, (-1, 16)).transpose(1, 2) for part in (layer.query, layer.key, layer.value)
    )
    exact = layer.out(attncc.reference(query, key, value, A_SHAPE).transpose(1, 2).flatten(2))
    assert distance(layer(hidden), exact) < 1e-5
    out, memory = layer.following(hidden[:, :13], None)
    steps = [out]
    for at in range(13, 21):
        out, memory = layer.following(hidden[:, at : at + 1], memory)
        steps.append(out)
    assert distance(torch.cat(steps, 1), exact) < 1e-5
    assert f"kv_heads={kv_heads}, head_dim=16, pattern=Pattern(a_shape" in repr(layer)
    layer(hidden).sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())


def test_the_module_passes_inputs_on_and_refuses_odd_heads() -> None:
    layer = SparseAttention(64, 4, pattern="documents")
    hidden, doc = torch.randn(1, 10, 64), torch.tensor([0] * 4 + [1] * 6)
    changed = hidden.clone()
    changed[:, :4] += 1
    assert torch.equal(layer(hidden, doc=doc)[:, 4:], layer(changed, doc=doc)[:, 4:])
    with pytest.raises(attncc.AttnccError, match="query has 4 heads and key 3"):
        SparseAttention(32, 4, kv_heads=3, pattern="causal")
