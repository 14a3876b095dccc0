"""What does the dispatcher of PyTorch call for each kind of tensor, when it meets the operator of a pattern?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from attncc import check
from attncc.calls import Attend, State, attend
from attncc.ref import plain
from attncc.spec.lower import lower
from attncc.spec.schema import PatternSpec

# Positional parameters: they pass the dispatcher twice, and by keyword each would cost a microsecond.
FORWARD = "{name}(Tensor query, Tensor key, Tensor value{params}, *, float? scale=None) -> (Tensor out, Tensor lse)"
BACKWARD = (
    "{name}_backward(Tensor grad_out, Tensor? grad_lse, Tensor query, Tensor key, Tensor value, Tensor lse{params}, *, "
    "float? scale=None) -> (Tensor grad_query, Tensor grad_key, Tensor grad_value)"
)
TAGS = (torch.Tag.pt2_compliant_tag,)
DEVICES = ("CPU", "CUDA")
AUTOCAST = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU) | torch._C.DispatchKeySet(
    torch._C.DispatchKey.AutocastCUDA
)

Gradients: TypeAlias = tuple[Tensor, Tensor, Tensor]


class Operator:
    """The kernels of one operator, by dispatch key. `params` are the pattern's parameters in the order of its file;
    the dispatcher leaves out those at the end that have their default value."""

    def __init__(self, spec: PatternSpec, library: torch.library.Library, name: str) -> None:
        self.spec = spec
        self._default = attend(lower(spec))
        self._others: dict[tuple[int, ...], Attend] = {}
        self._define(library, name)
        ops = getattr(torch.ops, library.ns)
        self.overload: torch._ops.OpOverload = getattr(ops, name).default
        self.backward_overload: torch._ops.OpOverload = getattr(ops, f"{name}_backward").default
        # What the overload itself calls, a Python frame nearer.
        self._below = cast(Callable[..., State], self.overload._op)

    def bound(self, params: tuple[int, ...]) -> Attend:
        """The pattern with these parameters in force. Raises BadParameter."""
        if not params:
            return self._default
        if params not in self._others:
            named = zip(self.spec.defaults(), params, strict=False)
            self._others[params] = attend(lower(self.spec, dict(named)))
        return self._others[params]

    def forward(self, query: Tensor, key: Tensor, value: Tensor, *params: int, scale: float | None = None) -> State:
        return self.bound(params)(query, key, value, scale)

    def forward_fake(
        self, query: Tensor, key: Tensor, value: Tensor, *params: int, scale: float | None = None
    ) -> State:
        self.bound(params)
        check.arguments(query, key, value)
        return query.new_empty(query.shape), query.new_empty(query.shape[:3], dtype=torch.float32)

    def forward_autograd(
        self, query: Tensor, key: Tensor, value: Tensor, *params: int, scale: float | None = None
    ) -> State:
        if torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad):
            return derive(self, query, key, value, scale, params)
        with torch._C._AutoDispatchBelowAutograd():
            if scale is None:
                return self._below(query, key, value, *params)
            return self._below(query, key, value, *params, scale=scale)

    def forward_autocast(
        self, query: Tensor, key: Tensor, value: Tensor, *params: int, scale: float | None = None
    ) -> State:
        with torch._C._ExcludeDispatchKeyGuard(AUTOCAST):
            return cast(State, self.overload(*narrowed(query, key, value), *params, scale=scale))

    def backward(
        self,
        grad_out: Tensor,
        grad_lse: Tensor | None,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        lse: Tensor,
        *params: int,
        scale: float | None = None,
    ) -> Gradients:
        pattern, factor = self.bound(params).pattern, check.scale_of(scale, query)
        with torch._C._AutoDispatchBelowAutograd():
            return plain.backward(pattern, grad_out, grad_lse, query, key, value, lse, factor)

    def backward_fake(
        self,
        grad_out: Tensor,
        grad_lse: Tensor | None,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        lse: Tensor,
        *params: int,
        scale: float | None = None,
    ) -> Gradients:
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)

    def backward_autograd(self, *arguments: Tensor | int | None, scale: float | None = None) -> Gradients:
        with torch._C._AutoDispatchBelowAutograd():
            return cast(Gradients, self.backward_overload(*arguments, scale=scale))

    def _define(self, library: torch.library.Library, name: str) -> None:
        backward = f"{name}_backward"
        params = "".join(f", int {param}={value}" for param, value in self.spec.defaults().items())
        for schema in (FORWARD, BACKWARD):
            library.define(schema.format(name=name, params=params), tags=TAGS)
        for device in DEVICES:
            library.impl(name, self.forward, device)
            library.impl(name, self.forward_autocast, f"Autocast{device}")
            library.impl(backward, self.backward, device)
        library.impl(name, self.forward_autograd, "Autograd")
        library.impl(backward, self.backward_autograd, "Autograd")
        torch.library.register_fake(f"{library.ns}::{name}", self.forward_fake, lib=library)
        torch.library.register_fake(f"{library.ns}::{backward}", self.backward_fake, lib=library)


def narrowed(*tensors: Tensor) -> list[Tensor]:
    """The tensors in the type that autocast computes in on their device."""
    dtype = torch.get_autocast_dtype(tensors[0].device.type)
    return [tensor.to(dtype) if tensor.dtype in check.DTYPE_NAMES else tensor for tensor in tensors]


class _Saved(FunctionCtx):
    """What a forward pass leaves for its backward pass."""

    saved_tensors: tuple[Tensor, Tensor, Tensor, Tensor]
    operator: Operator
    scale: float | None
    params: tuple[int, ...]


class _Derive(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _Saved,
        operator: Operator,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scale: float | None,
        params: tuple[int, ...],
    ) -> State:
        with torch._C._AutoDispatchBelowAutograd():
            out, lse = operator.overload(query, key, value, *params, scale=scale)
        ctx.save_for_backward(query, key, value, lse)
        ctx.set_materialize_grads(False)
        ctx.operator, ctx.scale, ctx.params = operator, scale, params
        return out, lse

    @staticmethod
    @once_differentiable
    def backward(ctx: _Saved, grad_out: Tensor | None, grad_lse: Tensor | None) -> tuple[Tensor | None, ...]:
        query, key, value, lse = ctx.saved_tensors
        given = torch.zeros_like(query) if grad_out is None else grad_out
        derive = ctx.operator.backward_overload
        gradients = derive(given, grad_lse, query, key, value, lse, *ctx.params, scale=ctx.scale)
        return None, *gradients, None, None


#: `apply` has no types of its own.
derive = cast(Callable[[Operator, Tensor, Tensor, Tensor, float | None, tuple[int, ...]], State], _Derive.apply)
