"""Attention over a sequence that is shared out among the ranks of a process group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, cast, get_args, overload

import torch
from torch import Tensor
from torch import distributed as dist
from torch.autograd.function import FunctionCtx, once_differentiable

from attncc import check
from attncc.calls import State
from attncc.dispatch import narrowed
from attncc.errors import NoProcessGroup, NotParallel, SizesDisagree, UnknownWord
from attncc.giving import check_inputs
from attncc.ir.schedule import Shape
from attncc.parallel.exchange import Derive, Held, Peers
from attncc.parallel.layout import Layout, Partition
from attncc.parallel.merged import Merged
from attncc.parallel.traffic import Traffic
from attncc.parallel.whole import Whole
from attncc.pattern import Pattern, resolve

#: How keys come. ring: owner by owner, computed with while the next ones are on their way, and asked for again on the
#: way back, so that a rank never has more than those of three. gather: all at once, and kept for the way back.
Form: TypeAlias = Literal["ring", "gather"]
FORMS: tuple[Form, ...] = get_args(Form)


@overload
def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    pattern: Pattern | str,
    *,
    group: dist.ProcessGroup | None = None,
    form: Form = "ring",
    partition: Partition = "zigzag",
    length: int | None = None,
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
    group: dist.ProcessGroup | None = None,
    form: Form = "ring",
    partition: Partition = "zigzag",
    length: int | None = None,
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
    group: dist.ProcessGroup | None = None,
    form: Form = "ring",
    partition: Partition = "zigzag",
    length: int | None = None,
    scale: float | None = None,
    return_lse: bool = False,
    **inputs: Tensor,
) -> Tensor | tuple[Tensor, Tensor]:
    """What `attncc.attention` computes for the whole sequence, of which each rank of `group` has a share: its rows.

    query [batch, q_heads, held, head_dim], key and value [batch, kv_heads, held, head_dim] are what `partition` gives
    this rank; so is the result, out and lse as those of `attncc.attention`. `length` is that of the whole sequence; if
    it is not given, ranks tell each other what they have, for which the host waits. `inputs` are those of the whole
    sequence, the same on every rank. All ranks must call alike.

    Static patterns are computed rectangle by rectangle and merged by lse; what no row of a rank sees is not sent to it.
    Patterns that choose sets, are given sets, or combine otherwise need form="gather". Gradients go through out and
    lse, and those of keys and values back to their owners. Raises what `attncc.attention` raises, and NoProcessGroup,
    UnknownWord, SequenceTooShort, WrongShare, NotParallel.
    """
    chosen = resolve(pattern)
    if not (dist.is_available() and dist.is_initialized()):
        raise NoProcessGroup()
    if form not in FORMS:
        raise UnknownWord("form", form, FORMS)
    if torch.is_autocast_enabled(query.device.type):
        query, key, value = narrowed(query, key, value)
    shape = check.arguments(query, key, value)[1]
    if shape.q_len != shape.kv_len:
        raise SizesDisagree("len", "query", shape.q_len, "key", shape.kv_len)
    peers = Peers(_traffic(chosen, query, shape, length, partition, group), dist.get_rank(group), group)
    _check_inputs(chosen, query, key, peers.traffic.shape, inputs)
    call = _call(peers, form, check.scale_of(scale, query), inputs)
    out, lse = _attend(call, query, key, value)
    return (out, lse) if return_lse else out


def _traffic(
    pattern: Pattern,
    query: Tensor,
    shape: Shape,
    length: int | None,
    partition: Partition,
    group: dist.ProcessGroup | None,
) -> Traffic:
    rank, ranks = dist.get_rank(group), dist.get_world_size(group)
    shares = {rank: shape.q_len} if length is not None else _shares(query, group)
    layout = Layout(sum(shares.values()) if length is None else length, ranks, partition)
    for each, held in shares.items():
        layout.check(each, held)
    whole = Shape(shape.batch, shape.q_heads, shape.kv_heads, layout.length, layout.length, shape.head_dim)
    return Traffic(pattern.bound, whole, layout)


def _shares(query: Tensor, group: dist.ProcessGroup | None) -> dict[int, int]:
    """How many positions every rank has."""
    held = torch.tensor([query.shape[2]], device=query.device)
    found = [torch.empty_like(held) for _ in range(dist.get_world_size(group))]
    dist.all_gather(found, held, group=group)
    return {rank: int(one) for rank, one in enumerate(found)}


def _check_inputs(pattern: Pattern, query: Tensor, key: Tensor, shape: Shape, inputs: Mapping[str, Tensor]) -> None:
    """Inputs are those of the whole sequence."""
    queries = query.new_empty(1).expand(shape.batch, shape.q_heads, shape.q_len, shape.head_dim)
    keys = key.new_empty(1).expand(shape.batch, shape.kv_heads, shape.kv_len, shape.head_dim)
    check_inputs(pattern.bound, queries, keys, inputs)


def _call(peers: Peers, form: Form, scale: float, inputs: Mapping[str, Tensor]) -> Merged | Whole:
    if peers.traffic.split:
        return Merged(peers, scale, inputs, form == "gather")
    if form == "ring":
        raise NotParallel(peers.traffic.pattern.name, "its parts cannot be merged; pass form='gather'")
    return Whole(peers, scale, inputs)


class _Saved(FunctionCtx):
    """What a forward pass leaves for its backward pass."""

    saved_tensors: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
    peers: Peers
    derive: Derive


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Saved, call: Merged | Whole, query: Tensor, key: Tensor, value: Tensor) -> State:
        (out, lse), ctx.derive = call.forward(query, _own(call.peers, key, value))
        ctx.peers = call.peers
        ctx.save_for_backward(query, key, value, out, lse)
        ctx.set_materialize_grads(False)
        return out, lse

    @staticmethod
    @once_differentiable
    def backward(ctx: _Saved, grad_out: Tensor | None, grad_lse: Tensor | None) -> tuple[Tensor | None, ...]:
        query, key, value, out, lse = ctx.saved_tensors
        outward = torch.zeros_like(query) if grad_out is None else grad_out
        return None, *ctx.derive(query, _own(ctx.peers, key, value), (out, lse), outward, grad_lse)


#: `apply` has no types of its own.
_attend = cast(Callable[[Merged | Whole, Tensor, Tensor, Tensor], State], _Attend.apply)


def _own(peers: Peers, key: Tensor, value: Tensor) -> Held:
    return Held(peers.rank, peers.traffic.layout.owned(peers.rank), key, value)
