"""What users call: attention with a pattern, and the reference that defines its result."""

from __future__ import annotations

from typing import Literal, overload

import torch
from torch import Tensor

from attncc import check
from attncc.errors import UnknownInput
from attncc.giving import check_inputs, check_lists, given, plainly_chosen
from attncc.pattern import Chosen, Pattern, resolve
from attncc.ref import dense


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
