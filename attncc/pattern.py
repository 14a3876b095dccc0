"""What users call: patterns, attention with a pattern, and the reference that defines the result."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, overload

import torch
from torch import Tensor

from attncc import check
from attncc.errors import NotAPattern, UnknownInput
from attncc.ir.pattern import Pattern as Bound
from attncc.ops import operator
from attncc.ref import dense
from attncc.spec import load
from attncc.spec.lower import lower
from attncc.spec.schema import PatternSpec


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pattern:
    """A sparse attention pattern with its parameters in force. Made by `load` or `from_dict`; never changes.

    `bound` is what the compiler sees; `op` is the operator that computes it, `torch.ops.attncc.<name>`, called with
    `values` after query, key and value.
    """

    spec: PatternSpec
    bound: Bound
    op: torch._ops.OpOverload
    values: tuple[int, ...]

    @staticmethod
    def load(name_or_path: str | os.PathLike[str], /, **params: int) -> Pattern:
        """The shipped pattern of this name, else the one in the file at this path, with `params` in place of its
        defaults. Raises UnknownPattern, PatternFileError, PatternFileUnreadable, UnknownParameter, BadParameter."""
        return _bind(load.find(name_or_path), params)

    @staticmethod
    def from_dict(mapping: Mapping[str, object], /, **params: int) -> Pattern:
        """The pattern that `mapping` declares, by the schema of pattern files. Raises as `load` does."""
        return _bind(load.from_dict(mapping), params)

    @property
    def name(self) -> str:
        return self.bound.name

    @property
    def params(self) -> Mapping[str, int]:
        """Every parameter with its value in force."""
        return MappingProxyType(dict(self.bound.params))

    def mask(self, query: Tensor, key: Tensor) -> Tensor:
        """Which pairs are kept: bool [batch, q_heads, q_len, kv_len] on the device of `query`. Grows with the square of
        the length: for looking at, and for tests."""
        shape = check.sizes(query, key, key)
        kept = dense.keep(self.bound, shape.q_heads, shape.q_len, shape.kv_len, shape.batch)
        return torch.from_numpy(kept.copy()).to(query.device)

    def __repr__(self) -> str:
        params = "".join(f", {name}={value}" for name, value in self.bound.params)
        return f"Pattern({self.name}{params}: {self.bound.formula()})"

    def __reduce__(self) -> tuple[object, ...]:
        return _bind, (self.spec, dict(self.bound.params))


def _bind(spec: PatternSpec, params: Mapping[str, int]) -> Pattern:
    bound = lower(spec, params)
    values = tuple(value for _, value in bound.params)
    unchanged = values == tuple(spec.defaults().values())
    return Pattern(spec, bound, operator(spec).overload, () if unchanged else values)


@overload
def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    pattern: Pattern | str,
    *,
    scale: float | None = None,
    return_lse: Literal[False] = False,
    **inputs: Tensor,
) -> Tensor: ...


@overload
def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    pattern: Pattern | str,
    *,
    scale: float | None = None,
    return_lse: Literal[True],
    **inputs: Tensor,
) -> tuple[Tensor, Tensor]: ...


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    pattern: Pattern | str,
    *,
    scale: float | None = None,
    return_lse: bool = False,
    **inputs: Tensor,
) -> Tensor | tuple[Tensor, Tensor]:
    """softmax(query key^T * scale, over the keys that `pattern` keeps) value, by a generated kernel.

    query is [batch, q_heads, q_len, head_dim], key and value are [batch, kv_heads, kv_len, head_dim]; q_heads is a
    multiple of kv_heads; all are float32, float16 or bfloat16. Returns out, like query, and, if asked for, lse, float32
    [batch, q_heads, q_len], the natural logarithm of each row's sum of exponentials. A row that keeps no key gives 0
    and -inf. `scale` is head_dim ** -0.5 unless given. Raises what is wrong with the arguments, see `attncc.check`.

    Gradients go through out and lse; they are computed by PyTorch's own operators, block of rows by block of rows.
    """
    chosen = resolve(pattern, inputs)
    out, lse = chosen.op(query, key, value, *chosen.values, scale=scale)
    return (out, lse) if return_lse else out


@overload
def reference(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    pattern: Pattern | str,
    *,
    scale: float | None = None,
    return_lse: Literal[False] = False,
    **inputs: Tensor,
) -> Tensor: ...


@overload
def reference(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    pattern: Pattern | str,
    *,
    scale: float | None = None,
    return_lse: Literal[True],
    **inputs: Tensor,
) -> tuple[Tensor, Tensor]: ...


def reference(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    pattern: Pattern | str,
    *,
    scale: float | None = None,
    return_lse: bool = False,
    **inputs: Tensor,
) -> Tensor | tuple[Tensor, Tensor]:
    """What `attention` must return, computed densely in float64: out in the dtype of query, lse in float32 (float64 for
    float64). Takes any element type and head_dim; can be differentiated."""
    chosen = resolve(pattern, inputs)
    check.sizes(query, key, value)
    out, lse = dense.attention(chosen.bound, query, key, value, check.scale_of(scale, query))
    narrow = torch.float64 if query.dtype == torch.float64 else torch.float32
    return (out.to(query.dtype), lse.to(narrow)) if return_lse else out.to(query.dtype)


def resolve(pattern: Pattern | str, inputs: Mapping[str, Tensor] = MappingProxyType({})) -> Pattern:
    """`pattern`, or the one of that name or path, which takes `inputs`. Raises NotAPattern, UnknownInput, and what
    `Pattern.load` raises."""
    chosen = (SHIPPED.get(pattern) or Pattern.load(pattern)) if isinstance(pattern, str) else pattern
    if not isinstance(chosen, Pattern):
        raise NotAPattern(type(chosen).__name__)
    for name in inputs:
        raise UnknownInput(chosen.name, name)
    return chosen


#: Every pattern that comes with attncc, as its file declares it; registers their operators.
SHIPPED: Mapping[str, Pattern] = {name: Pattern.load(name) for name in load.shipped()}
