"""How is a batch served whose rows hold padding, several sequences, or the unused end of a cache?

Sequence by sequence: each is the call that it would be by itself, without what lies around it. So a pattern's first
keys are the first real tokens, its blocks begin there, a choice is made among real tokens only, and what a prompt's
tokens see does not depend on how much another prompt of the batch is padded. Padding costs nothing, and gives 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from attncc.calls import State
from attncc.dispatch import AUTOCAST, DEVICES, TAGS, Gradients, narrowed
from attncc.dispatch_choosing import ChoosingOperator
from attncc.models.sequences import parts
from attncc.pattern import Pattern

# No pattern has a name like these.
FORWARD = (
    "_rows(Tensor query, Tensor key, Tensor value, Tensor tokens, Tensor[] inputs, str pattern, float? scale=None) "
    "-> (Tensor out, Tensor lse)"
)
BACKWARD = (
    "_rows_backward(Tensor grad_out, Tensor? grad_lse, Tensor query, Tensor key, Tensor value, Tensor lse, "
    "Tensor tokens, Tensor[] inputs, str pattern, float? scale=None) "
    "-> (Tensor grad_query, Tensor grad_key, Tensor grad_value)"
)
LIBRARY = torch.library.Library("attncc", "FRAGMENT")

_patterns: dict[str, Pattern] = {}


def known(pattern: Pattern) -> str:
    """The name by which the operator knows `pattern` from here on; equal patterns have the same."""
    name = f"{pattern.name}_{pattern.bound.digest()}"
    _patterns.setdefault(name, pattern)
    return name


def pattern_known(name: str) -> Pattern:
    """The pattern that is `known` by this name."""
    return _patterns[name]


def attend_rows(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    tokens: Tensor,
    pattern: str,
    scale: float | None = None,
    inputs: Sequence[Tensor] = (),
) -> State:
    """(out, lse) of the pattern `known` by this name, for each sequence that `tokens` tells of; `inputs` are those of
    the pattern, in its order.

    One operator, whatever the tokens hold. Differentiable. Raises MaskNotServed, and what `attncc.attention` raises.
    """
    return cast(State, torch.ops.attncc._rows(query, key, value, tokens, list(inputs), pattern, scale))


def _forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    tokens: Tensor,
    inputs: Sequence[Tensor],
    pattern: str,
    scale: float | None = None,
) -> State:
    chosen, out = _patterns[pattern], torch.zeros_like(query, memory_format=torch.contiguous_format)
    lse = torch.full(query.shape[:3], -torch.inf, dtype=torch.float32, device=query.device)
    named = _named(chosen, inputs)
    for part in parts(tokens, query.shape[2]):
        mine, its, whose = (tensor[part.batch] for tensor in (query, key, value))
        call = mine[:, :, part.queries], its[:, :, part.keys], whose[:, :, part.keys]
        found, normalizer = chosen.op(*call, *chosen.values, scale=scale, **named)
        out[part.batch, :, part.queries] = found
        lse[part.batch, :, part.queries] = normalizer
    return out, lse


def _backward(
    grad_out: Tensor,
    grad_lse: Tensor | None,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lse: Tensor,
    tokens: Tensor,
    inputs: Sequence[Tensor],
    pattern: str,
    scale: float | None = None,
) -> Gradients:
    operator, values = _patterns[pattern].operator, _patterns[pattern].values
    given = (list(inputs),) if isinstance(operator, ChoosingOperator) else ()
    gradients = tuple(torch.zeros_like(tensor) for tensor in (query, key, value))
    for part in parts(tokens, query.shape[2]):
        at_query, at_key = (part.batch, slice(None), part.queries), (part.batch, slice(None), part.keys)
        grad = None if grad_lse is None else grad_lse[at_query]
        call = grad_out[at_query], grad, query[at_query], key[at_key], value[at_key], lse[at_query]
        found = operator.backward_overload(*call, *given, *values, scale=scale)
        for whole, place, piece in zip(gradients, (at_query, at_key, at_key), found, strict=True):
            whole[place] += piece
    return cast(Gradients, gradients)


def _forward_fake(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    tokens: Tensor,
    inputs: Sequence[Tensor],
    pattern: str,
    scale: float | None = None,
) -> State:
    return query.new_empty(query.shape), query.new_empty(query.shape[:3], dtype=torch.float32)


def _backward_fake(
    grad_out: Tensor, grad_lse: Tensor | None, query: Tensor, key: Tensor, value: Tensor, *_: object, **__: object
) -> Gradients:
    return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


def _autograd(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    tokens: Tensor,
    inputs: Sequence[Tensor],
    pattern: str,
    scale: float | None = None,
) -> State:
    if torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad):
        return cast(State, _Derive.apply(query, key, value, tokens, pattern, scale, *inputs))
    with torch._C._AutoDispatchBelowAutograd():
        return cast(State, torch.ops.attncc._rows(query, key, value, tokens, inputs, pattern, scale))


def _autocast(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    tokens: Tensor,
    inputs: Sequence[Tensor],
    pattern: str,
    scale: float | None = None,
) -> State:
    with torch._C._ExcludeDispatchKeyGuard(AUTOCAST):
        return cast(State, torch.ops.attncc._rows(*narrowed(query, key, value), tokens, inputs, pattern, scale))


class _Saved(FunctionCtx):
    """What a forward pass leaves for its backward pass."""

    saved_tensors: tuple[Tensor, ...]
    pattern: str
    scale: float | None


class _Derive(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _Saved,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        tokens: Tensor,
        pattern: str,
        scale: float | None,
        *inputs: Tensor,
    ) -> State:
        with torch._C._AutoDispatchBelowAutograd():
            out, lse = torch.ops.attncc._rows(query, key, value, tokens, inputs, pattern, scale)
        ctx.save_for_backward(query, key, value, lse, tokens, *inputs)
        ctx.set_materialize_grads(False)
        ctx.pattern, ctx.scale = pattern, scale
        return cast(State, (out, lse))

    @staticmethod
    @once_differentiable
    def backward(ctx: _Saved, grad_out: Tensor | None, grad_lse: Tensor | None) -> tuple[Tensor | None, ...]:
        query, key, value, lse, tokens, *inputs = ctx.saved_tensors
        given = torch.zeros_like(query) if grad_out is None else grad_out
        call = given, grad_lse, query, key, value, lse, tokens, inputs, ctx.pattern, ctx.scale
        found = torch.ops.attncc._rows_backward(*call)
        return *found, None, None, None, *(None for _ in inputs)


def _backward_autograd(*arguments: object) -> Gradients:
    with torch._C._AutoDispatchBelowAutograd():
        return cast(Gradients, torch.ops.attncc._rows_backward(*arguments))


def _named(pattern: Pattern, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
    return {one.name: tensor for one, tensor in zip(pattern.bound.inputs, inputs, strict=True)}


LIBRARY.define(FORWARD, tags=TAGS)
LIBRARY.define(BACKWARD, tags=TAGS)
for _device in DEVICES:
    LIBRARY.impl("_rows", _forward, _device)
    LIBRARY.impl("_rows", _autocast, f"Autocast{_device}")
    LIBRARY.impl("_rows_backward", _backward, _device)
LIBRARY.impl("_rows", _autograd, "Autograd")
LIBRARY.impl("_rows_backward", _backward_autograd, "Autograd")
torch.library.register_fake("attncc::_rows", _forward_fake, lib=LIBRARY)
torch.library.register_fake("attncc::_rows_backward", _backward_fake, lib=LIBRARY)
