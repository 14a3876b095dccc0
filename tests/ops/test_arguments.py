"""Does every wrong call get one sentence that says what is wrong and what to do?"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
import torch

import attncc
from attncc import errors
from attncc.check import arguments
from attncc.ir.schedule import Operands, Shape
from tests.ops.samples import Call, call

CAUSAL = attncc.Pattern.load("causal")
QUERY, KEY, VALUE = call()

WRONG: dict[str, tuple[type[attncc.AttnccError], Call, str]] = {
    "rank": (errors.WrongRank, (QUERY[0], KEY, VALUE), r"query has the shape \[4, 33, 16\]; it must be \[batch, heads"),
    "rank of key": (errors.WrongRank, (QUERY, KEY[0], VALUE[0]), r"key has the shape \[2, 33, 16\]"),
    "dtype": (
        errors.UnsupportedDType,
        (QUERY.double(), KEY.double(), VALUE.double()),
        "query is float64; kernels exist for float32, float16, bfloat16",
    ),
    "mixed dtypes": (
        errors.MixedDTypes,
        (QUERY, KEY.half(), VALUE),
        "query is float32, key is float16, value is float32; convert them to one dtype",
    ),
    "batch": (errors.SizesDisagree, (QUERY.expand(2, -1, -1, -1), KEY, VALUE), "query has batch 2 and key has batch 1"),
    "kv batch": (
        errors.SizesDisagree,
        (QUERY, KEY, VALUE.expand(2, -1, -1, -1)),
        "key has batch 1 and value has batch 2",
    ),
    "kv heads": (errors.SizesDisagree, (QUERY, KEY, VALUE[:, :1]), "key has heads 2 and value has heads 1"),
    "kv len": (errors.SizesDisagree, (QUERY, KEY, VALUE[:, :, 1:]), "key has len 33 and value has len 32"),
    "head_dim": (
        errors.SizesDisagree,
        (call(head_dim=24)[0], KEY, VALUE),
        "query has head_dim 24 and key has head_dim 16; they must be the same",
    ),
    "head groups": (
        errors.HeadsNotGrouped,
        (QUERY[:, :3], KEY, VALUE),
        "query has 3 heads and key 2; .* a multiple",
    ),
    "head_dim 17": (
        errors.UnsupportedHeadDim,
        call(head_dim=17),
        "head_dim is 17; .* 8 from 16 to 256: pad",
    ),
    "head_dim 8": (errors.UnsupportedHeadDim, call(head_dim=8), "head_dim is 8"),
    "head_dim 264": (errors.UnsupportedHeadDim, call(head_dim=264), "head_dim is 264"),
    "strides": (
        errors.LastDimensionStrided,
        (QUERY, KEY.mT.contiguous().mT, VALUE),
        r"the last dimension of key has stride 33; it must be contiguous: call \.contiguous\(\)",
    ),
    "no queries": (errors.EmptyTensor, (QUERY[:, :, :0], KEY, VALUE), r"query is empty: its shape is \[1, 4, 0, 16\]"),
    "no keys": (errors.EmptyTensor, (QUERY, KEY[:, :, :0], VALUE[:, :, :0]), "key is empty"),
    "no batch": (errors.EmptyTensor, (QUERY[:0], KEY[:0], VALUE[:0]), "query is empty"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_tensors(wrong: str) -> None:
    kind, tensors, sentence = WRONG[wrong]
    for _ in range(2):
        with pytest.raises(kind, match=sentence):
            attncc.attention(*tensors, CAUSAL)


@pytest.mark.parametrize("wrong", ["rank", "mixed dtypes", "kv len", "strides", "head groups"])
def test_wrong_tensors_are_wrong_before_they_hold_numbers(wrong: str) -> None:
    """As when a model is traced."""
    kind, tensors, sentence = WRONG[wrong]
    query, key, value = (tensor.to("meta") for tensor in tensors)
    with pytest.raises(kind, match=sentence):
        torch.ops.attncc.causal(query, key, value)


def test_devices_must_agree() -> None:
    with pytest.raises(errors.MixedDevices, match="query is on cpu, key on meta, value on cpu; move them"):
        arguments(QUERY, KEY.to("meta"), VALUE)


def test_what_a_right_call_needs() -> None:
    assert arguments(QUERY, KEY, VALUE) == (Operands("float32", 16), Shape(1, 4, 2, 33, 33, 16))


@pytest.mark.parametrize("scale", [float("nan"), float("inf")])
def test_scale_must_be_a_number(scale: float) -> None:
    with pytest.raises(errors.BadScale, match=r"it must be a finite number, or None for head_dim \*\* -0.5"):
        attncc.attention(QUERY, KEY, VALUE, CAUSAL, scale=scale)


@pytest.mark.parametrize("window", [-1, 2.5, float("nan"), True, 2**40, "wide", None])
def test_parameters_must_be_sensible_integers(window: object) -> None:
    with pytest.raises(errors.BadParameter, match="parameter 'window' of pattern 'sliding_window' must be an integer"):
        attncc.Pattern.load("sliding_window", window=cast(int, window))


def test_operators_check_parameters_too() -> None:
    with pytest.raises(errors.BadParameter, match="not -1"):
        torch.ops.attncc.sliding_window(QUERY, KEY, VALUE, window=-1)


def test_unknown_parameter() -> None:
    with pytest.raises(errors.UnknownParameter, match="did you mean 'window'"):
        attncc.Pattern.load("sliding_window", windw=3)


@pytest.mark.parametrize("function", [attncc.attention, attncc.reference])
def test_unknown_pattern_and_input(function: Callable[..., object]) -> None:
    with pytest.raises(errors.UnknownPattern, match="did you mean 'a_shape'"):
        function(QUERY, KEY, VALUE, "a_shap")
    with pytest.raises(errors.NotAPattern, match="pattern is of type NoneType; pass a shipped pattern's name"):
        function(QUERY, KEY, VALUE, None)
    with pytest.raises(errors.UnknownInput, match=r"pattern 'causal' has no input 'doc'; parameters are set when"):
        function(QUERY, KEY, VALUE, CAUSAL, doc=QUERY)


@pytest.mark.parametrize("name", ["scale", "query"])
def test_a_parameter_named_like_an_argument(name: str) -> None:
    with pytest.raises(errors.ParameterNameTaken, match=f"a parameter cannot be called '{name}'"):
        attncc.Pattern.from_dict({"pattern": "mine", "params": {name: 2}, "mask": f"kv < {name}"})
