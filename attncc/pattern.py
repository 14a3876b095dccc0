"""What users call: patterns, attention with a pattern, and the reference that defines the result."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, cast, overload

import torch
from torch import Tensor

from attncc import check
from attncc.calls import State
from attncc.dispatch import Operator
from attncc.dispatch_choosing import ChoosingOperator
from attncc.dispatch_given import flattened, unflattened
from attncc.errors import NotAPattern, UnknownInput
from attncc.giving import check_inputs, check_lists, given, plainly_chosen
from attncc.ir.pattern import Pattern as Bound
from attncc.lists import RowLists
from attncc.ops import operator
from attncc.ref import dense
from attncc.spec import load
from attncc.spec.lower import lower
from attncc.spec.schema import PatternSpec


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """The sets of one call, by name, as `Pattern.select` makes them; kept, they serve other calls too."""

    lists: Mapping[str, RowLists]

    @property
    def overflow(self) -> Tensor:
        """bool, without dimensions: whether any list had no room for an entry."""
        return torch.stack([one.overflow for one in self.lists.values()]).any()

    def nbytes(self) -> int:
        """Bytes that the lists occupy."""
        return sum(one.nbytes() for one in self.lists.values())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pattern:
    """A sparse attention pattern with its parameters in force. Made by `load` or `from_dict`; never changes.

    `bound` is what the compiler sees; `op` is the operator that computes it, `torch.ops.attncc.<name>`, called with
    `values` after query, key and value, and with the inputs of the pattern by name.
    """

    spec: PatternSpec
    bound: Bound
    operator: Operator | ChoosingOperator
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
    def op(self) -> torch._ops.OpOverload:
        return self.operator.overload

    @property
    def name(self) -> str:
        return self.bound.name

    @property
    def params(self) -> Mapping[str, int]:
        """Every parameter with its value in force."""
        return MappingProxyType(dict(self.bound.params))

    @property
    def choosing(self) -> bool:
        """Whether it chooses keys at run time or takes inputs."""
        return isinstance(self.operator, ChoosingOperator)

    def mask(
        self,
        query: Tensor,
        key: Tensor,
        *,
        scale: float | None = None,
        selection: Chosen | None = None,
        **inputs: Tensor,
    ) -> Tensor:
        """Which pairs are kept, the choice included: bool [batch, q_heads, q_len, kv_len] on the device of `query`.
        Grows with the square of the length: for looking at, and for tests."""
        check.sizes(query, key, key)
        check_inputs(self.bound, query, key, inputs)
        lists = (selection or self.select(query, key, scale=scale, **inputs)).lists if self.choosing else {}
        held = given(self.bound, lists, inputs, query.shape[2], key.shape[2], make=False)
        return dense.kept(self.bound, query.shape[:3], key.shape[2], held).to(query.device)

    def select(self, query: Tensor, key: Tensor, *, scale: float | None = None, **inputs: Tensor) -> Chosen:
        """The sets that a call with these tensors would choose, to be passed to `attention` as its `selection`: of the
        same call, or of another with as many rows of choices (all later ones, where all queries share one)."""
        check.sizes(query, key, key)
        check_inputs(self.bound, query, key, inputs)
        if not isinstance(self.operator, ChoosingOperator):
            return Chosen({})
        named = [inputs[name] for name in self.operator.kept.inputs]
        tensors = self.operator.kept.select_overload(query.detach(), key.detach(), named, *self.values, scale=scale)
        return Chosen(dict(zip(self.operator.kept.sets, unflattened(tensors), strict=True)))

    def attend_to(
        self,
        selection: Chosen,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scale: float | None,
        inputs: Mapping[str, Tensor],
    ) -> State:
        """(out, lse) with the sets of `selection`. Raises SelectionDoesNotFit, and what `attention` raises."""
        check.sizes(query, key, value)
        check_inputs(self.bound, query, key, inputs)
        assert isinstance(self.operator, ChoosingOperator), "a pattern with sets has their operators"
        check_lists(self.bound, query, key, selection.lists)
        lists = flattened([selection.lists[name] for name in self.operator.kept.sets])
        named = [inputs[name] for name in self.operator.kept.inputs]
        found = self.operator.kept.overload(query, key, value, lists, named, *self.values, scale=scale)
        return cast(State, found)

    def __repr__(self) -> str:
        params = "".join(f", {name}={value}" for name, value in self.bound.params)
        return f"Pattern({self.name}{params}: {self.bound.formula()})"

    def __reduce__(self) -> tuple[object, ...]:
        return _bind, (self.spec, dict(self.bound.params))


def _bind(spec: PatternSpec, params: Mapping[str, int]) -> Pattern:
    bound = lower(spec, params)
    values = tuple(value for _, value in bound.params)
    unchanged = values == tuple(spec.defaults().values())
    return Pattern(spec, bound, operator(spec), () if unchanged else values)


@overload
def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    pattern: Pattern | str,
    *,
    scale: float | None = None,
    return_lse: Literal[False] = False,
    selection: Chosen | None = None,
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
    selection: Chosen | None = None,
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
    selection: Chosen | None = None,
    **inputs: Tensor,
) -> Tensor | tuple[Tensor, Tensor]:
    """softmax(query key^T * scale, over the keys that `pattern` keeps) value, by a generated kernel.

    query is [batch, q_heads, q_len, head_dim], key and value are [batch, kv_heads, kv_len, head_dim]; q_heads is a
    multiple of kv_heads; all are float32, float16 or bfloat16. Returns out, like query, and, if asked for, lse, float32
    [batch, q_heads, q_len], the natural logarithm of each row's sum of exponentials. A row that keeps no key gives 0
    and -inf. `scale` is head_dim ** -0.5 unless given. `inputs` are those of the pattern; a `selection` made by
    `Pattern.select` is used as it is. Raises what is wrong with the arguments, see `attncc.check` and `attncc.giving`.

    Gradients go through out and lse; they are computed by PyTorch's own operators, block of rows by block of rows. A
    choice of keys has no gradient.
    """
    chosen = resolve(pattern)
    if not chosen.choosing:
        for name in inputs:
            raise UnknownInput(chosen.name, name)
        out, lse = chosen.op(query, key, value, *chosen.values, scale=scale)
    elif selection is None:
        check.sizes(query, key, value)
        check_inputs(chosen.bound, query, key, inputs)
        out, lse = chosen.op(query, key, value, *chosen.values, scale=scale, **inputs)
    else:
        out, lse = chosen.attend_to(selection, query, key, value, scale, inputs)
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
    selection: Chosen | None = None,
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
    selection: Chosen | None = None,
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
    selection: Chosen | None = None,
    **inputs: Tensor,
) -> Tensor | tuple[Tensor, Tensor]:
    """What `attention` must return, computed densely in float64: out in the dtype of query, lse in float32 (float64 for
    float64). Takes any element type and head_dim; can be differentiated.

    Sets are chosen by scores in float64, unit by unit, unless a `selection` is given: where two scores nearly tie, the
    choice of `attention`, in float32, may be the other one.
    """
    chosen = resolve(pattern)
    check.sizes(query, key, value)
    factor = check.scale_of(scale, query)
    check_inputs(chosen.bound, query, key, inputs)
    lists = plainly_chosen(chosen.bound, query, key, factor, inputs) if selection is None else selection.lists
    check_lists(chosen.bound, query, key, lists)
    held = given(chosen.bound, lists, inputs, query.shape[2], key.shape[2], make=False)
    out, lse = dense.attention(chosen.bound, query, key, value, factor, held)
    narrow = torch.float64 if query.dtype == torch.float64 else torch.float32
    return (out.to(query.dtype), lse.to(narrow)) if return_lse else out.to(query.dtype)


def resolve(pattern: Pattern | str) -> Pattern:
    """`pattern`, or the one of that name or path. Raises NotAPattern, and what `Pattern.load` raises."""
    chosen = (SHIPPED.get(pattern) or Pattern.load(pattern)) if isinstance(pattern, str) else pattern
    if not isinstance(chosen, Pattern):
        raise NotAPattern(type(chosen).__name__)
    return chosen


#: Every pattern that comes with attncc, as its file declares it; registers their operators.
SHIPPED: Mapping[str, Pattern] = {name: Pattern.load(name) for name in load.shipped()}
