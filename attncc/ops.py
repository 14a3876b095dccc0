"""Patterns as PyTorch operators: `torch.ops.attncc.<pattern>`, under autograd, `torch.compile` and `torch.export`."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import TypeAlias, cast

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from attncc import check
from attncc.calls import Attend, State, attend
from attncc.errors import ParameterNameTaken
from attncc.ref import plain
from attncc.spec.lower import lower
from attncc.spec.schema import PatternSpec

#: Operators live as long as this object.
LIBRARY = torch.library.Library("attncc", "FRAGMENT")
TAGS = (torch.Tag.pt2_compliant_tag,)
DEVICES = ("CPU", "CUDA")

FORWARD = "{name}(Tensor query, Tensor key, Tensor value, *, {options}) -> (Tensor out, Tensor lse)"
BACKWARD = (
    "{name}_backward(Tensor grad_out, Tensor? grad_lse, Tensor query, Tensor key, Tensor value, Tensor lse, *, "
    "{options}) -> (Tensor grad_query, Tensor grad_key, Tensor grad_value)"
)
TAKEN = ("query", "key", "value", "scale", "grad_out", "grad_lse", "lse")

Gradients: TypeAlias = tuple[Tensor, Tensor, Tensor]


class Operator:
    """The kernels of one operator, by dispatch key. A pattern's parameters are keyword arguments; the dispatcher passes
    on only those that differ from their default."""

    def __init__(self, spec: PatternSpec, name: str) -> None:
        self.spec, self.name = spec, name
        self._default = attend(lower(spec))
        self._others: dict[tuple[tuple[str, int], ...], Attend] = {}
        self._define()
        self.overload: torch._ops.OpOverload = getattr(torch.ops.attncc, name).default
        self.backward_overload: torch._ops.OpOverload = getattr(torch.ops.attncc, f"{name}_backward").default

    def bound(self, params: dict[str, int]) -> Attend:
        """The pattern with these parameters in force. Raises BadParameter."""
        if not params:
            return self._default
        given = tuple(params.items())
        if given not in self._others:
            self._others[given] = attend(lower(self.spec, params))
        return self._others[given]

    def forward(self, query: Tensor, key: Tensor, value: Tensor, *, scale: float | None = None, **params: int) -> State:
        return self.bound(params)(query, key, value, scale)

    def forward_fake(
        self, query: Tensor, key: Tensor, value: Tensor, *, scale: float | None = None, **params: int
    ) -> State:
        self.bound(params)
        check.arguments(query, key, value)
        return torch.empty_like(query), query.new_empty(query.shape[:3], dtype=torch.float32)

    def forward_autograd(
        self, query: Tensor, key: Tensor, value: Tensor, *, scale: float | None = None, **params: int
    ) -> State:
        if torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad):
            return derive(self, query, key, value, scale, params)
        with torch._C._AutoDispatchBelowAutograd():
            return cast(State, self.overload(query, key, value, scale=scale, **params))

    def backward(
        self,
        grad_out: Tensor,
        grad_lse: Tensor | None,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        lse: Tensor,
        *,
        scale: float | None = None,
        **params: int,
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
        *,
        scale: float | None = None,
        **params: int,
    ) -> Gradients:
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)

    def backward_autograd(self, *tensors: Tensor | None, **options: float | None) -> Gradients:
        with torch._C._AutoDispatchBelowAutograd():
            return cast(Gradients, self.backward_overload(*tensors, **options))

    def _define(self) -> None:
        params = (f", int {name}={value}" for name, value in self.spec.defaults().items())
        options = f"float? scale=None{''.join(params)}"
        for schema in (FORWARD, BACKWARD):
            LIBRARY.define(schema.format(name=self.name, options=options), tags=TAGS)
        for device in DEVICES:
            LIBRARY.impl(self.name, self.forward, device)
            LIBRARY.impl(f"{self.name}_backward", self.backward, device)
        LIBRARY.impl(self.name, self.forward_autograd, "Autograd")
        LIBRARY.impl(f"{self.name}_backward", self.backward_autograd, "Autograd")
        torch.library.register_fake(f"attncc::{self.name}", self.forward_fake, lib=LIBRARY)
        torch.library.register_fake(f"attncc::{self.name}_backward", self.backward_fake, lib=LIBRARY)


class _Saved(FunctionCtx):
    """What a forward pass leaves for its backward pass."""

    saved_tensors: tuple[Tensor, Tensor, Tensor, Tensor]
    operator: Operator
    scale: float | None
    params: dict[str, int]


class _Derive(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _Saved,
        operator: Operator,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scale: float | None,
        params: dict[str, int],
    ) -> State:
        with torch._C._AutoDispatchBelowAutograd():
            out, lse = operator.overload(query, key, value, scale=scale, **params)
        ctx.save_for_backward(query, key, value, lse)
        ctx.set_materialize_grads(False)
        ctx.operator, ctx.scale, ctx.params = operator, scale, params
        return out, lse

    @staticmethod
    @once_differentiable
    def backward(ctx: _Saved, grad_out: Tensor | None, grad_lse: Tensor | None) -> tuple[Tensor | None, ...]:
        query, key, value, lse = ctx.saved_tensors
        given = torch.zeros_like(query) if grad_out is None else grad_out
        options = {"scale": ctx.scale, **ctx.params}
        return None, *ctx.operator.backward_overload(given, grad_lse, query, key, value, lse, **options), None, None


#: `apply` has no types of its own.
derive = cast(Callable[[Operator, Tensor, Tensor, Tensor, float | None, dict[str, int]], State], _Derive.apply)

_operators: dict[tuple[str, str], Operator] = {}
_registering = threading.Lock()


def operator(spec: PatternSpec) -> Operator:
    """The operator of `spec`, registered at the first request under the pattern's name; if that name already means
    something else, with a digest of the meaning behind it. Raises ParameterNameTaken."""
    for param in spec.params:
        if param.name in TAKEN:
            raise ParameterNameTaken(spec.name, param.name)
    meaning = _meaning(spec)
    with _registering:
        if (spec.name, meaning) not in _operators:
            free = not any(hasattr(torch.ops.attncc, name) for name in (spec.name, f"{spec.name}_backward"))
            _operators[spec.name, meaning] = Operator(spec, spec.name if free else f"{spec.name}_{meaning}")
        return _operators[spec.name, meaning]


def _meaning(spec: PatternSpec) -> str:
    """Eight hex digits that change with what the operator accepts and with what it computes."""
    accepted = [(param.name, param.low, param.high) for param in spec.params]
    return hashlib.sha256(repr((lower(spec).digest(), accepted)).encode()).hexdigest()[:8]
