"""Are these tensors a call that kernels can serve?"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from attncc.errors import (
    BadScale,
    EmptyTensor,
    LastDimensionStrided,
    MixedDevices,
    MixedDTypes,
    SizesDisagree,
    UnsupportedDType,
    WrongRank,
)
from attncc.ir.schedule import DTYPES, DType, Operands, Shape

DTYPE_NAMES: Mapping[torch.dtype, DType] = {
    torch.float32: "float32",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
}


def arguments(query: Tensor, key: Tensor, value: Tensor) -> tuple[Operands, Shape]:
    """What a call needs of its kernel. Raises the error of the first thing that is wrong with it.

    query is [batch, q_heads, q_len, head_dim]; key and value are [batch, kv_heads, kv_len, head_dim].
    """
    shape = sizes(query, key, value)
    if query.dtype not in DTYPE_NAMES:
        raise UnsupportedDType(_name(query.dtype), DTYPES)
    operands = Operands(DTYPE_NAMES[query.dtype], shape.head_dim)
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if tensor.stride(-1) != 1:
            raise LastDimensionStrided(name, tensor.stride(-1))
    return operands, shape


def sizes(query: Tensor, key: Tensor, value: Tensor) -> Shape:
    """The sizes of a call, whatever its element type. Raises if the tensors do not belong together."""
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if tensor.dim() != 4:
            raise WrongRank(name, tensor.shape)
        if 0 in tensor.shape:
            raise EmptyTensor(name, tensor.shape)
    if not query.dtype == key.dtype == value.dtype:
        raise MixedDTypes(_name(query.dtype), _name(key.dtype), _name(value.dtype))
    if not query.device == key.device == value.device:
        raise MixedDevices(str(query.device), str(key.device), str(value.device))
    _agree("key", key, "value", value, {"batch": 0, "heads": 1, "len": 2, "head_dim": 3})
    _agree("query", query, "key", key, {"batch": 0, "head_dim": 3})
    batch, q_heads, q_len, head_dim = query.shape
    return Shape(batch, q_heads, key.shape[1], q_len, key.shape[2], head_dim)


def scale_of(given: float | None, query: Tensor) -> float:
    """The scale in force: `given`, else head_dim ** -0.5. Raises BadScale for NaN and infinities."""
    if given is None:
        return float(query.shape[3] ** -0.5)
    if not math.isfinite(given):
        raise BadScale(given)
    return given


def _agree(left: str, one: Tensor, right: str, other: Tensor, axes: Mapping[str, int]) -> None:
    for size, axis in axes.items():
        if one.shape[axis] != other.shape[axis]:
            raise SizesDisagree(size, left, one.shape[axis], right, other.shape[axis])


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
