"""Are the operators what PyTorch expects of operators?"""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import attncc
from attncc.ops import operator
from attncc.spec import load
from attncc.spec.lower import lower
from tests.ops.samples import Call, call, leaves

CHECKED: dict[str, tuple[int, ...]] = {"causal": (), "a_shape": (2, 5), "duo_attention": (2, 1, 4)}


def sequence_first(tensors: Call) -> Call:
    query, key, value = (tensor.transpose(1, 2).contiguous().transpose(1, 2) for tensor in tensors)
    return query, key, value


@pytest.mark.parametrize("name", CHECKED)
def test_opcheck(name: str) -> None:
    overload = getattr(torch.ops.attncc, name).default
    for tensors in (call(), sequence_first(call(q_len=7, kv_len=40))):
        torch.library.opcheck(overload, (*leaves(tensors), *CHECKED[name]), {"scale": 0.3})


def test_opcheck_of_the_backward_operator() -> None:
    query, key, value = call()
    out, lse = torch.ops.attncc.causal(query, key, value)
    torch.library.opcheck(torch.ops.attncc.causal_backward.default, (out, lse, query, key, value, lse))


@pytest.mark.parametrize("name", load.shipped())
def test_every_shipped_pattern_is_an_operator(name: str) -> None:
    schema = getattr(torch.ops.attncc, name).default._schema
    spec = load.find(name)
    inputs = [one.name for one in lower(spec).inputs]
    params = {one.name: one.default_value for one in schema.arguments[3:-1] if one.name not in inputs}
    assert params == spec.defaults()
    assert [one.name for one in schema.arguments if one.name in inputs] == inputs
    assert not schema.is_mutable


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_shapes_without_numbers_and_without_the_device(device: str) -> None:
    with FakeTensorMode():
        query = torch.empty(2, 33, 4, 16, device=device, dtype=torch.bfloat16).transpose(1, 2)
        key = torch.empty(2, 1, 40, 16, device=device, dtype=torch.bfloat16)
        out, lse = torch.ops.attncc.a_shape(query, key, key, window=3)
    assert (out.shape, out.dtype, out.device.type) == (query.shape, torch.bfloat16, device)
    assert (lse.shape, lse.dtype, lse.is_contiguous()) == (query.shape[:3], torch.float32, True)


def test_parameters_by_position_and_by_name() -> None:
    tensors = call()
    wanted = attncc.attention(*tensors, attncc.Pattern.load("a_shape", sink=2, window=5))
    assert torch.equal(torch.ops.attncc.a_shape(*tensors, 2, 5)[0], wanted)
    assert torch.equal(torch.ops.attncc.a_shape(*tensors, window=5, sink=2)[0], wanted)


def test_a_name_that_means_something_else_gets_a_digest() -> None:
    causal = attncc.Pattern.load("causal")
    other = attncc.Pattern.from_dict({"pattern": "causal", "mask": "kv < q"})
    again = attncc.Pattern.from_dict({"pattern": "causal", "mask": "kv < q", "about": "Other words."})
    same = attncc.Pattern.from_dict({"pattern": "causal", "mask": "kv <= q"})
    assert same.op is causal.op
    assert other.op is again.op
    assert str(other.op).startswith("attncc.causal_")
    assert not torch.equal(attncc.attention(*call(), other), attncc.attention(*call(), causal))


@pytest.mark.parametrize("name", ["name", "causal_backward", "none"])
def test_awkward_names(name: str) -> None:
    spec = load.from_dict({"pattern": name, "params": {"int": 3}, "mask": "kv <= q and q - kv < int"})
    overload = operator(spec).overload
    assert overload(*call(), 5)[0].shape == (1, 4, 33, 16)


def test_inference_mode() -> None:
    tensors = call()
    with torch.inference_mode():
        assert torch.equal(attncc.attention(*tensors, "causal"), torch.ops.attncc.causal(*tensors)[0])


def test_autocast_computes_in_its_dtype() -> None:
    query, key, value = call()
    with torch.autocast("cpu", torch.bfloat16):
        out, lse = attncc.attention(query, key.bfloat16(), value, "causal", return_lse=True)
    narrow = attncc.attention(query.bfloat16(), key.bfloat16(), value.bfloat16(), "causal")
    assert (out.dtype, lse.dtype) == (torch.bfloat16, torch.float32)
    assert torch.equal(out, narrow)


def test_gradients_under_autocast_have_the_dtype_of_their_leaves() -> None:
    query, key, value = leaves(call())
    with torch.autocast("cpu", torch.bfloat16):
        out = attncc.attention(query, key, value, "causal")
    out.float().sum().backward()
    assert query.grad is not None
    assert query.grad.dtype == torch.float32
