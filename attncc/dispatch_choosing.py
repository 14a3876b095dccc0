"""What does the dispatcher of PyTorch call for the operator of a pattern that chooses keys or takes inputs?

It chooses and attends; its backward chooses again, which gives the same sets. So no tensor whose size depends on what
was chosen shows outside, and compilers see one operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from attncc.calls import State
from attncc.dispatch import AUTOCAST, DEVICES, TAGS, Gradients, narrowed
from attncc.dispatch_given import GivenOperator
from attncc.spec.schema import PatternSpec

FORWARD = (
    "{name}(Tensor query, Tensor key, Tensor value{params}, *{inputs}, float? scale=None) -> (Tensor out, Tensor lse)"
)
BACKWARD = (
    "{name}_backward(Tensor grad_out, Tensor? grad_lse, Tensor query, Tensor key, Tensor value, Tensor lse, "
    "Tensor[] inputs{params}, *, float? scale=None) -> (Tensor grad_query, Tensor grad_key, Tensor grad_value)"
)


class ChoosingOperator:
    """The kernels of one operator, by dispatch key; `kept` are the operators with which a choice can be kept."""

    def __init__(self, spec: PatternSpec, library: torch.library.Library, name: str) -> None:
        self.kept = GivenOperator(spec, library, name)
        self._define(library, name)
        ops = getattr(torch.ops, library.ns)
        self.overload: torch._ops.OpOverload = getattr(ops, name).default
        self.backward_overload: torch._ops.OpOverload = getattr(ops, f"{name}_backward").default

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *params: int, scale: float | None = None, **inputs: Tensor
    ) -> State:
        given = self._ordered(inputs)
        lists = self.kept.select(query, key, given, *params, scale=scale)
        return self.kept.forward(query, key, value, lists, given, *params, scale=scale)

    def forward_fake(
        self, query: Tensor, key: Tensor, value: Tensor, *params: int, scale: float | None = None, **inputs: Tensor
    ) -> State:
        return self.kept.forward_fake(query, key, value, (), (), *params, scale=scale)

    def forward_autograd(
        self, query: Tensor, key: Tensor, value: Tensor, *params: int, scale: float | None = None, **inputs: Tensor
    ) -> State:
        if torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad):
            return derive(self, query, key, value, scale, params, *self._ordered(inputs))
        with torch._C._AutoDispatchBelowAutograd():
            return cast(State, self.overload(query, key, value, *params, scale=scale, **inputs))

    def forward_autocast(
        self, query: Tensor, key: Tensor, value: Tensor, *params: int, scale: float | None = None, **inputs: Tensor
    ) -> State:
        with torch._C._ExcludeDispatchKeyGuard(AUTOCAST):
            return cast(State, self.overload(*narrowed(query, key, value), *params, scale=scale, **inputs))

    def backward(
        self,
        grad_out: Tensor,
        grad_lse: Tensor | None,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        lse: Tensor,
        inputs: Sequence[Tensor],
        *params: int,
        scale: float | None = None,
    ) -> Gradients:
        lists = self.kept.select(query, key, inputs, *params, scale=scale)
        return self.kept.backward(grad_out, grad_lse, query, key, value, lse, lists, inputs, *params, scale=scale)

    def backward_fake(
        self,
        grad_out: Tensor,
        grad_lse: Tensor | None,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        lse: Tensor,
        inputs: Sequence[Tensor],
        *params: int,
        scale: float | None = None,
    ) -> Gradients:
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)

    def backward_autograd(
        self, *arguments: Tensor | Sequence[Tensor] | int | None, scale: float | None = None
    ) -> Gradients:
        with torch._C._AutoDispatchBelowAutograd():
            return cast(Gradients, self.backward_overload(*arguments, scale=scale))

    def _ordered(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        return tuple(inputs[name] for name in self.kept.inputs)

    def _define(self, library: torch.library.Library, name: str) -> None:
        params = "".join(f", int {param}={value}" for param, value in self.kept.spec.defaults().items())
        inputs = "".join(f", Tensor {one}" for one in self.kept.inputs)
        for schema in (FORWARD, BACKWARD):
            library.define(schema.format(name=name, params=params, inputs=inputs), tags=TAGS)
        for device in DEVICES:
            library.impl(name, self.forward, device)
            library.impl(name, self.forward_autocast, f"Autocast{device}")
            library.impl(f"{name}_backward", self.backward, device)
        library.impl(name, self.forward_autograd, "Autograd")
        library.impl(f"{name}_backward", self.backward_autograd, "Autograd")
        torch.library.register_fake(f"{library.ns}::{name}", self.forward_fake, lib=library)
        torch.library.register_fake(f"{library.ns}::{name}_backward", self.backward_fake, lib=library)


class _Saved(FunctionCtx):
    """What a forward pass leaves for its backward pass."""

    saved_tensors: tuple[Tensor, ...]
    operator: ChoosingOperator
    scale: float | None
    params: tuple[int, ...]


class _Derive(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _Saved,
        operator: ChoosingOperator,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scale: float | None,
        params: tuple[int, ...],
        *inputs: Tensor,
    ) -> State:
        with torch._C._AutoDispatchBelowAutograd():
            named = operator.kept.named(inputs)
            out, lse = operator.overload(query, key, value, *params, scale=scale, **named)
        ctx.save_for_backward(query, key, value, lse, *inputs)
        ctx.set_materialize_grads(False)
        ctx.operator, ctx.scale, ctx.params = operator, scale, params
        return out, lse

    @staticmethod
    @once_differentiable
    def backward(ctx: _Saved, grad_out: Tensor | None, grad_lse: Tensor | None) -> tuple[Tensor | None, ...]:
        query, key, value, lse, *inputs = ctx.saved_tensors
        given = torch.zeros_like(query) if grad_out is None else grad_out
        call = (given, grad_lse, query, key, value, lse, inputs)
        found = ctx.operator.backward_overload(*call, *ctx.params, scale=ctx.scale)
        return None, *found, None, None, *(None for _ in inputs)


#: `apply` has no types of its own.
derive = cast(Callable[..., State], _Derive.apply)
