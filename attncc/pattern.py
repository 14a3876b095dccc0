"""A pattern with its parameters in force, as users hold it: its mask, its choices, its operator."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

import torch
from torch import Tensor

from attncc import check
from attncc.calls import State
from attncc.dispatch import Operator
from attncc.dispatch_choosing import ChoosingOperator
from attncc.dispatch_given import flattened, unflattened
from attncc.errors import NotAPattern
from attncc.giving import check_inputs, check_lists, given
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


def resolve(pattern: Pattern | str) -> Pattern:
    """`pattern`, or the one of that name or path. Raises NotAPattern, and what `Pattern.load` raises."""
    chosen = (SHIPPED.get(pattern) or Pattern.load(pattern)) if isinstance(pattern, str) else pattern
    if not isinstance(chosen, Pattern):
        raise NotAPattern(type(chosen).__name__)
    return chosen


#: Every pattern that comes with attncc, as its file declares it; registers their operators.
SHIPPED: Mapping[str, Pattern] = {name: Pattern.load(name) for name in load.shipped()}
