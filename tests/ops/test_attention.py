"""Does `attncc.attention` compute what its pattern means, for every kind of call?"""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import cast

import pytest
import torch

import attncc
from attncc.autotune.inputs import Inputs
from attncc.autotune.verify import oracle, verify
from attncc.calls import attend
from attncc.codegen.kernel import CompiledKernel
from attncc.errors import StatesDisagree
from tests.ops.samples import Call, call, distance

A_SHAPE = attncc.Pattern.load("a_shape", sink=2, window=5)
SUNK = {"pattern": "sunk", "mask": "true", "inputs": {"sink": "head"}}
EVERY_THIRD = {"pattern": "every_third", "params": {"step": 3}, "mask": "kv <= q and kv % step == 0 and kv > 0"}

CALLS: dict[str, Call] = {
    "square": call(),
    "batch, one KV head": call(batch=2, kv_heads=1),
    "chunk": call(q_len=7, kv_len=40),
    "decode": call(q_len=1, kv_len=65),
    "more queries than keys": call(q_len=40, kv_len=7),
    "one pair": call(q_len=1, kv_len=1),
    "head_dim 80": call(head_dim=80),
}


def agrees(pattern: attncc.Pattern, tensors: Call, scale: float | None = None) -> None:
    inputs = Inputs(*tensors, tensors[0].shape[3] ** -0.5 if scale is None else scale)
    agreement = verify(cast(CompiledKernel, attend(pattern.bound)), inputs, oracle(pattern.bound, inputs))
    assert agreement.holds, str(agreement)


@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str) -> None:
    agrees(A_SHAPE, CALLS[name])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_dtypes(dtype: torch.dtype) -> None:
    query, key, value = (tensor.to(dtype) for tensor in call(head_dim=64))
    agrees(A_SHAPE, (query, key, value))
    out, lse = attncc.attention(query, key, value, A_SHAPE, return_lse=True)
    assert (out.dtype, lse.dtype) == (dtype, torch.float32)


def test_views_of_sequence_first_tensors() -> None:
    query, key, value = (tensor.transpose(1, 2).contiguous().transpose(1, 2) for tensor in call(batch=2))
    agrees(A_SHAPE, (query, key, value))


def test_rows_without_keys_give_zero_and_minus_infinity() -> None:
    query, key, value = call(q_len=6, kv_len=6)
    pattern = attncc.Pattern.from_dict(EVERY_THIRD)
    out, lse = attncc.attention(query, key, value, pattern, return_lse=True)
    assert out[:, :, :3].eq(0).all()
    assert lse[:, :, :3].eq(-torch.inf).all()
    assert torch.equal(lse.isinf(), pattern.mask(query, key).logical_not().all(-1))


def test_the_reference_agrees_with_pytorch() -> None:
    query, key, value = (tensor.double() for tensor in call())
    exact = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=0.5, enable_gqa=True
    )
    torch.testing.assert_close(attncc.reference(query, key, value, "causal", scale=0.5), exact)


@pytest.mark.parametrize("scale", [3.0, 0.0, -3.0])
def test_any_scale(scale: float) -> None:
    agrees(A_SHAPE, call(), scale)


def test_attention_is_the_kernel() -> None:
    out, lse = attend(A_SHAPE.bound)(*call(), 0.5)
    ours, our_lse = attncc.attention(*call(), A_SHAPE, scale=0.5, return_lse=True)
    assert torch.equal(ours, out)
    assert torch.equal(our_lse, lse)
    assert torch.equal(attncc.attention(*call(), A_SHAPE, scale=0.5), out)


def test_the_reference_takes_what_kernels_do_not() -> None:
    query, key, value = (tensor.double() for tensor in call(head_dim=3))
    out, lse = attncc.reference(query, key, value, "causal", return_lse=True)
    assert (out.dtype, lse.dtype) == (torch.float64, torch.float64)


def test_the_same_kernel_serves_other_lengths_of_a_class() -> None:
    function = attend(attncc.Pattern.load("sliding_window", window=9).bound)
    for kv_len in (34, 48, 64):
        agrees(attncc.Pattern.load("sliding_window", window=9), call(q_len=33, kv_len=kv_len))
    assert len(function._by_signature) == 1


def test_a_file_and_a_mapping_are_the_same_pattern(tmp_path: Path) -> None:
    file = tmp_path / "every_third.yaml"
    file.write_text("pattern: every_third\nparams: {step: 3}\nmask: kv <= q and kv % step == 0 and kv > 0\n")
    loaded, made = attncc.Pattern.load(file), attncc.Pattern.from_dict(EVERY_THIRD)
    assert loaded.bound == made.bound
    assert loaded.op is made.op
    agrees(loaded, call())


def test_parameters_in_force() -> None:
    assert A_SHAPE.name == "a_shape"
    assert dict(A_SHAPE.params) == {"sink": 2, "window": 5}
    assert repr(A_SHAPE) == "Pattern(a_shape, sink=2, window=5: kv <= q and (kv < sink or q - kv < window))"


def test_the_mask_is_the_formula() -> None:
    query, key, _ = call(batch=2, q_len=5, kv_len=9)
    q, kv = torch.arange(4, 9)[:, None], torch.arange(9)
    kept = (kv <= q) & ((kv < 2) | (q - kv < 5))
    assert torch.equal(A_SHAPE.mask(query, key), kept.expand(2, 4, 5, 9))


def test_patterns_survive_copies_and_pickles() -> None:
    for again in (copy.deepcopy(A_SHAPE), pickle.loads(pickle.dumps(A_SHAPE))):
        assert again.bound == A_SHAPE.bound
        assert again.op is A_SHAPE.op


def test_parts_merge_into_the_whole() -> None:
    tensors = call()
    near = attncc.attention(*tensors, "sliding_window", return_lse=True)
    parts = [
        attncc.Pattern.from_dict({"pattern": "early", "mask": "kv < 9 and kv <= q"}),
        attncc.Pattern.from_dict({"pattern": "late", "mask": "kv >= 9 and kv <= q"}),
    ]
    out, lse = attncc.merge_states([attncc.attention(*tensors, part, return_lse=True) for part in parts])
    assert distance(out, near[0]) < 1e-6
    assert distance(lse, near[1]) < 1e-6


def test_merging_nothing_visible_gives_nothing() -> None:
    nothing = torch.zeros(1, 1, 2, 16), torch.full((1, 1, 2), -torch.inf)
    out, lse = attncc.merge_states([nothing, nothing])
    assert torch.equal(out, nothing[0])
    assert torch.equal(lse, nothing[1])


def test_what_cannot_be_merged() -> None:
    out, lse = torch.zeros(1, 1, 2, 16), torch.zeros(1, 1, 2)
    with pytest.raises(StatesDisagree, match="there is nothing to merge"):
        attncc.merge_states([])
    with pytest.raises(StatesDisagree, match=r"out has the shape \[1, 1, 1, 16\] in one part"):
        attncc.merge_states([(out, lse), (out[:, :, :1], lse[:, :, :1])])
    with pytest.raises(StatesDisagree, match=r"lse has the shape \[1, 1, 1\] beside"):
        attncc.merge_states([(out, lse[:, :, :1])])


def test_weighted_parts_count_their_keys_so_many_times() -> None:
    query, key, value = call(q_len=9, kv_len=30)
    first, second = (
        attncc.attention(query, key[:, :, part], value[:, :, part], "dense", return_lse=True)
        for part in (slice(0, 10), slice(10, 30))
    )
    again = [torch.cat([tensor, tensor[:, :, 10:], tensor[:, :, 10:]], 2) for tensor in (key, value)]
    wanted, wanted_lse = attncc.reference(query, *again, "dense", return_lse=True)
    out, lse = attncc.merge_states([first, second], weights=[1.0, 3.0])
    torch.testing.assert_close(out, wanted, rtol=1e-5, atol=2e-6)
    torch.testing.assert_close(lse, wanted_lse, rtol=1e-5, atol=2e-6)
    with pytest.raises(StatesDisagree, match="2 parts"):
        attncc.merge_states([first, second], weights=[1.0])


@pytest.mark.parametrize("name", ["softplus_attention", "gpt_oss"])
def test_parts_under_other_rules_merge_by_lse(name: str) -> None:
    """Plain sums add; of the parts under a sink, one has it."""
    pattern = attncc.Pattern.from_dict(
        {"pattern": "part", "mask": "true", "combine": "softplus_l1"}
        if name == "softplus_attention"
        else {
            "pattern": "sunk",
            "mask": "true",
            "inputs": {"sink": "head"},
            "combine": {"sink_softmax": {"logit": "sink"}},
        }
    )
    query, key, value = call(q_len=9, kv_len=30)
    inputs = {"sink": torch.linspace(-1, 2, query.shape[1])} if pattern.bound.inputs else {}
    parts = [slice(0, 10), slice(10, 30)]
    plain = pattern if name == "softplus_attention" else "dense"
    states = [
        attncc.attention(query, key[:, :, part], value[:, :, part], which, return_lse=True, **given)
        for part, which, given in zip(parts, (pattern, plain), (inputs, {}), strict=True)
    ]
    wanted, wanted_lse = attncc.reference(query, key, value, pattern, return_lse=True, **inputs)
    out, lse = attncc.merge_states(states)
    torch.testing.assert_close(out, wanted, rtol=1e-5, atol=2e-6)
    torch.testing.assert_close(lse, wanted_lse, rtol=1e-5, atol=2e-6)
