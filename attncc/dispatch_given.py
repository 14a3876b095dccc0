"""What does the dispatcher of PyTorch call for operators that choose the sets of a pattern, and attend with sets?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from attncc import check, giving
from attncc.calls import Attend, State, attend
from attncc.dispatch import AUTOCAST, DEVICES, TAGS, Gradients, narrowed
from attncc.lists import Given, RowLists
from attncc.ref import plain
from attncc.spec.lower import lower
from attncc.spec.schema import PatternSpec

SELECT = "{name}_select(Tensor query, Tensor key, Tensor[] inputs{params}, *, float? scale=None) -> Tensor[]"
FORWARD = (
    "{name}_given(Tensor query, Tensor key, Tensor value, Tensor[] lists, Tensor[] inputs{params}, *, "
    "float? scale=None) -> (Tensor out, Tensor lse)"
)
BACKWARD = (
    "{name}_given_backward(Tensor grad_out, Tensor? grad_lse, Tensor query, Tensor key, Tensor value, Tensor lse, "
    "Tensor[] lists, Tensor[] inputs{params}, *, float? scale=None) "
    "-> (Tensor grad_query, Tensor grad_key, Tensor grad_value)"
)

#: The tensors of the sets of a pattern, four for each, in the order of its file; its inputs, in the same order.
Tensors: TypeAlias = Sequence[Tensor]


class GivenOperator:
    """The kernels of the operators with which a choice can be kept, by dispatch key."""

    def __init__(self, spec: PatternSpec, library: torch.library.Library, name: str) -> None:
        self.spec = spec
        self._default = attend(lower(spec))
        self._others: dict[tuple[int, ...], Attend] = {}
        self.inputs = tuple(one.name for one in self._default.pattern.inputs)
        self.sets = tuple(self._default.pattern.geometry())
        self._define(library, name)
        ops = getattr(torch.ops, library.ns)
        self.select_overload: torch._ops.OpOverload = getattr(ops, f"{name}_select").default
        self.overload: torch._ops.OpOverload = getattr(ops, f"{name}_given").default
        self.backward_overload: torch._ops.OpOverload = getattr(ops, f"{name}_given_backward").default

    def bound(self, params: tuple[int, ...]) -> Attend:
        """The pattern with these parameters in force. Raises BadParameter."""
        if not params:
            return self._default
        if params not in self._others:
            named = zip(self.spec.defaults(), params, strict=False)
            self._others[params] = attend(lower(self.spec, dict(named)))
        return self._others[params]

    def select(
        self, query: Tensor, key: Tensor, inputs: Tensors, *params: int, scale: float | None = None
    ) -> list[Tensor]:
        pattern, named = self.bound(params).pattern, self.named(inputs)
        check.sizes(query, key, key)
        giving.check_inputs(pattern, query, key, named)
        found = giving.chosen(pattern, query, key, check.scale_of(scale, query), named)
        return flattened([found[name] for name in self.sets])

    def select_fake(
        self, query: Tensor, key: Tensor, inputs: Tensors, *params: int, scale: float | None = None
    ) -> list[Tensor]:
        # How long a pool is, and how many heads share a row, shows only when the scores are there.
        entries, heads, rows = (torch.library.get_ctx().new_dynamic_size() for _ in range(3))
        found: list[Tensor] = []
        for _ in self.sets:
            count = (query.shape[0], heads, rows)
            found += [query.new_empty(entries, dtype=torch.int32), query.new_empty(count, dtype=torch.int64)]
            found += [query.new_empty(count, dtype=torch.int32), query.new_empty((), dtype=torch.bool)]
        return found

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        lists: Tensors,
        inputs: Tensors,
        *params: int,
        scale: float | None = None,
    ) -> State:
        bound = self.bound(params)
        return bound(query, key, value, scale, self.given(bound, query, key, lists, inputs))

    def forward_fake(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        lists: Tensors,
        inputs: Tensors,
        *params: int,
        scale: float | None = None,
    ) -> State:
        self.bound(params)
        check.arguments(query, key, value)
        return query.new_empty(query.shape), query.new_empty(query.shape[:3], dtype=torch.float32)

    def forward_autograd(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        lists: Tensors,
        inputs: Tensors,
        *params: int,
        scale: float | None = None,
    ) -> State:
        if torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad):
            return derive(self, query, key, value, scale, params, len(lists), *lists, *inputs)
        with torch._C._AutoDispatchBelowAutograd():
            return cast(State, self.overload(query, key, value, lists, inputs, *params, scale=scale))

    def forward_autocast(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        lists: Tensors,
        inputs: Tensors,
        *params: int,
        scale: float | None = None,
    ) -> State:
        with torch._C._ExcludeDispatchKeyGuard(AUTOCAST):
            return cast(State, self.overload(*narrowed(query, key, value), lists, inputs, *params, scale=scale))

    def backward(
        self,
        grad_out: Tensor,
        grad_lse: Tensor | None,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        lse: Tensor,
        lists: Tensors,
        inputs: Tensors,
        *params: int,
        scale: float | None = None,
    ) -> Gradients:
        bound, factor = self.bound(params), check.scale_of(scale, query)
        given = self.given(bound, query, key, lists, inputs)
        with torch._C._AutoDispatchBelowAutograd():
            return plain.backward(bound.pattern, grad_out, grad_lse, query, key, value, lse, factor, given)

    def backward_fake(
        self,
        grad_out: Tensor,
        grad_lse: Tensor | None,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        lse: Tensor,
        lists: Tensors,
        inputs: Tensors,
        *params: int,
        scale: float | None = None,
    ) -> Gradients:
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)

    def backward_autograd(self, *arguments: Tensor | Tensors | int | None, scale: float | None = None) -> Gradients:
        with torch._C._AutoDispatchBelowAutograd():
            return cast(Gradients, self.backward_overload(*arguments, scale=scale))

    def given(self, bound: Attend, query: Tensor, key: Tensor, lists: Tensors, inputs: Tensors) -> Given:
        """What a kernel is given. Raises what `giving` raises of inputs and lists."""
        named = self.named(inputs)
        giving.check_inputs(bound.pattern, query, key, named)
        found = dict(zip(self.sets, unflattened(lists), strict=True))
        giving.check_lists(bound.pattern, query, key, found)
        return giving.given(bound.pattern, found, named, query.shape[2], key.shape[2])

    def named(self, inputs: Tensors) -> Mapping[str, Tensor]:
        return dict(zip(self.inputs, inputs, strict=True))

    def _define(self, library: torch.library.Library, name: str) -> None:
        params = "".join(f", int {param}={value}" for param, value in self.spec.defaults().items())
        for schema in (SELECT, FORWARD, BACKWARD):
            library.define(schema.format(name=name, params=params), tags=TAGS)
        for device in DEVICES:
            library.impl(f"{name}_select", self.select, device)
            library.impl(f"{name}_given", self.forward, device)
            library.impl(f"{name}_given", self.forward_autocast, f"Autocast{device}")
            library.impl(f"{name}_given_backward", self.backward, device)
        library.impl(f"{name}_given", self.forward_autograd, "Autograd")
        library.impl(f"{name}_given_backward", self.backward_autograd, "Autograd")
        torch.library.register_fake(f"{library.ns}::{name}_select", self.select_fake, lib=library)
        torch.library.register_fake(f"{library.ns}::{name}_given", self.forward_fake, lib=library)
        torch.library.register_fake(f"{library.ns}::{name}_given_backward", self.backward_fake, lib=library)


def flattened(lists: Sequence[RowLists]) -> list[Tensor]:
    """The tensors of lists, four for each."""
    return [part for one in lists for part in (one.entries, one.start, one.count, one.overflow)]


def unflattened(tensors: Tensors) -> list[RowLists]:
    """The lists whose tensors these are."""
    return [RowLists(*tensors[at : at + 4]) for at in range(0, len(tensors), 4)]


class _Saved(FunctionCtx):
    """What a forward pass leaves for its backward pass: after query, key, value and lse, `lists` tensors of sets."""

    saved_tensors: tuple[Tensor, ...]
    operator: GivenOperator
    scale: float | None
    params: tuple[int, ...]
    lists: int


class _Derive(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _Saved,
        operator: GivenOperator,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scale: float | None,
        params: tuple[int, ...],
        count: int,
        *rest: Tensor,
    ) -> State:
        with torch._C._AutoDispatchBelowAutograd():
            out, lse = operator.overload(query, key, value, rest[:count], rest[count:], *params, scale=scale)
        ctx.save_for_backward(query, key, value, lse, *rest)
        ctx.set_materialize_grads(False)
        ctx.operator, ctx.scale, ctx.params, ctx.lists = operator, scale, params, count
        return out, lse

    @staticmethod
    @once_differentiable
    def backward(ctx: _Saved, grad_out: Tensor | None, grad_lse: Tensor | None) -> tuple[Tensor | None, ...]:
        query, key, value, lse, *rest = ctx.saved_tensors
        given = torch.zeros_like(query) if grad_out is None else grad_out
        kept = rest[: ctx.lists], rest[ctx.lists :]
        call = (given, grad_lse, query, key, value, lse)
        found = ctx.operator.backward_overload(*call, *kept, *ctx.params, scale=ctx.scale)
        return None, *found, None, None, None, *(None for _ in rest)


#: `apply` has no types of its own.
derive = cast(Callable[..., State], _Derive.apply)
