"""From the arguments of a call to what its kernel is given: sets chosen, inputs checked and brought into form."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from attncc import passes
from attncc.errors import InputDoesNotFit, MissingInput, SelectionDoesNotFit, UnknownInput
from attncc.ir.pattern import Pattern
from attncc.ir.selection import Input
from attncc.lists import Given, RowLists, packed, rows_of
from attncc.ref.tensors import evaluate
from attncc.selectors.choose import select
from attncc.selectors.pack import shifted
from attncc.selectors.plain import plain_select
from attncc.selectors.tables import listed
from attncc.selectors.touched import touched

#: Numbers of inputs lie between plus and minus this.
TOKEN_LIMIT = 2**30


def needs_lists(pattern: Pattern, q_len: int, kv_len: int) -> bool:
    """Whether a call of these lengths asks its sets at all."""
    sizes = {"q_len": torch.tensor(q_len), "kv_len": torch.tensor(kv_len)}
    return bool(evaluate(passes.needs_lists(pattern), sizes))


def chosen(
    pattern: Pattern, query: Tensor, key: Tensor, scale: float, inputs: Mapping[str, Tensor]
) -> dict[str, RowLists]:
    """The sets that a call chooses and those that it brings, by name. A call that asks none has empty lists."""
    if not needs_lists(pattern, query.shape[2], key.shape[2]):
        return {name: _nothing(shape.rows, query, key) for name, shape in pattern.geometry().items()}
    found = {one.name: select(one, query, key, scale, inputs) for one in pattern.selections}
    return found | _brought(pattern, query, key, inputs)


def plainly_chosen(
    pattern: Pattern, query: Tensor, key: Tensor, scale: float, inputs: Mapping[str, Tensor]
) -> dict[str, RowLists]:
    """The same as `chosen`, with scores in float64, unit by unit."""
    if not needs_lists(pattern, query.shape[2], key.shape[2]):
        return chosen(pattern, query, key, scale, inputs)
    plain = {one.name: plain_select(one, query, key, scale, inputs) for one in pattern.selections}
    found = {
        name: shifted(packed(there), 0 if pattern.geometry()[name].step is None else 1 - key.shape[2])
        for name, there in plain.items()
    }
    return found | _brought(pattern, query, key, inputs)


def _brought(pattern: Pattern, query: Tensor, key: Tensor, inputs: Mapping[str, Tensor]) -> dict[str, RowLists]:
    """The sets that a call brings as tables."""
    tables = (one for one in pattern.inputs if one.geometry is not None)
    return {one.name: listed(one, inputs[one.name], query, key) for one in tables}


def given(
    pattern: Pattern,
    lists: Mapping[str, RowLists],
    inputs: Mapping[str, Tensor],
    q_len: int,
    kv_len: int,
    make: bool = True,
) -> Given:
    """What a kernel is given: `lists` and those made from conditions on inputs, and the inputs as kernels read them.
    The reference needs none made."""
    tokens = {one.name: _tokens(inputs[one.name]) for one in pattern.inputs if one.per == "token"}
    heads = {one.name: inputs[one.name].to(torch.float32) for one in pattern.inputs if one.per == "head"}
    made = {
        one.name: touched(one, dict(pattern.params), tokens, q_len, kv_len)
        for one in passes.lists(pattern)
        if one.condition is not None and make
    }
    return Given({**lists, **made}, tokens, heads)


def check_inputs(pattern: Pattern, query: Tensor, key: Tensor, inputs: Mapping[str, Tensor]) -> None:
    """Raises MissingInput, UnknownInput or InputDoesNotFit if `inputs` are not those of `pattern` for such a call."""
    known = {one.name: one for one in pattern.inputs}
    for name in inputs:
        if name not in known:
            raise UnknownInput(pattern.name, name, list(known))
    for name, one in known.items():
        if name not in inputs:
            raise MissingInput(pattern.name, name, _wanted(one, query, key), one.about)
        _check(pattern, one, query, key, inputs[name])


def check_lists(pattern: Pattern, query: Tensor, key: Tensor, lists: Mapping[str, RowLists]) -> None:
    """Raises SelectionDoesNotFit if lists that were kept are not for such a call."""
    (batch, q_heads, q_len, _), (_, kv_heads, kv_len, _) = query.shape, key.shape
    for name, shape in pattern.geometry().items():
        batches, heads, rows = lists[name].count.shape
        wanted = len(rows_of(q_len, kv_len, shape.rows))
        if rows != wanted:
            raise SelectionDoesNotFit(pattern.name, f"'{name}' has {rows} rows of choices, the call has {wanted}")
        if batches not in (1, batch) or heads not in (1, kv_heads, q_heads):
            owners = f"{batches} batches of {heads} heads"
            raise SelectionDoesNotFit(pattern.name, f"'{name}' is for {owners}, the call has {batch} of {q_heads}")
        if lists[name].count.device != query.device:
            raise SelectionDoesNotFit(
                pattern.name, f"'{name}' is on {lists[name].count.device}, the call on {query.device}"
            )


def _check(pattern: Pattern, one: Input, query: Tensor, key: Tensor, found: Tensor) -> None:
    """Shapes, element types and devices; values only where reading them costs no waiting."""
    whole = not found.dtype.is_floating_point and not found.dtype.is_complex
    fits = {"token": whole, "head": not found.dtype.is_complex, "block": found.dtype == torch.bool, "unit": True}
    if not (fits[one.per] and _shaped(one, query, key, found.shape)) or found.device != query.device:
        words = f"{str(found.dtype).removeprefix('torch.')} {list(found.shape)} on {found.device}"
        raise InputDoesNotFit(pattern.name, one.name, words, _wanted(one, query, key))
    if one.per == "token" and found.device.type == "cpu" and found.dtype != torch.bool and found.numel():
        low, high = found.aminmax()
        if int(high) >= TOKEN_LIMIT or int(low) <= -TOKEN_LIMIT:
            words = f"a number of {int(high) if int(high) >= TOKEN_LIMIT else int(low)}"
            raise InputDoesNotFit(pattern.name, one.name, words, f"numbers between -{TOKEN_LIMIT} and {TOKEN_LIMIT}")


def _shaped(one: Input, query: Tensor, key: Tensor, found: torch.Size) -> bool:
    (batch, q_heads, q_len, _), (_, kv_heads, kv_len, _) = query.shape, key.shape
    heads = (1, kv_heads, q_heads)
    match one.per:
        case "token":
            batched = len(found) < 2 or found[0] in (1, batch)
            return 1 <= len(found) <= 3 and found[-1] == kv_len and batched and (len(found) < 3 or found[1] in heads)
        case "head":
            return tuple(found) == (q_heads,)
        case "block":
            assert one.geometry is not None, "an input per block is a set"
            rows, units = len(rows_of(q_len, kv_len, one.geometry.rows)), -(-kv_len // one.geometry.size)
            return (
                len(found) == 4 and found[0] in (1, batch) and found[1] in heads and tuple(found[2:]) == (rows, units)
            )
        case "unit":
            return len(found) == 4


def _wanted(one: Input, query: Tensor, key: Tensor) -> str:
    (batch, q_heads, q_len, _), (_, kv_heads, kv_len, _) = query.shape, key.shape
    match one.per:
        case "token":
            return f"integers, [{kv_len}], [{batch}, {kv_len}] or [{batch}, {kv_heads} or {q_heads}, {kv_len}]"
        case "head":
            return f"numbers, [{q_heads}]"
        case "block":
            rows, units = _blocks(one, q_len, kv_len)
            return f"truth values, [{batch} or 1, {q_heads}, {kv_heads} or 1, {rows}, {units}]"
        case "unit":
            return f"scores, [{batch} or 1, {q_heads}, {kv_heads} or 1, rows, units]"


def _blocks(one: Input, q_len: int, kv_len: int) -> tuple[int, int]:
    """Rows and units of an input that is a set."""
    assert one.geometry is not None, "an input per block is a set"
    return len(rows_of(q_len, kv_len, one.geometry.rows)), -(-kv_len // one.geometry.size)


def _tokens(found: Tensor) -> Tensor:
    """int32 [batch or 1, heads, kv_len], contiguous in the last dimension."""
    shaped = found.view(1, 1, -1) if found.dim() == 1 else found.unsqueeze(1) if found.dim() == 2 else found
    narrow = shaped.to(torch.int32)
    return narrow if narrow.stride(-1) == 1 else narrow.contiguous()


def _nothing(rows: int | None, query: Tensor, key: Tensor) -> RowLists:
    count = len(rows_of(query.shape[2], key.shape[2], rows))
    start = torch.zeros(1, 1, count, dtype=torch.int64, device=query.device)
    entries = torch.zeros(0, dtype=torch.int32, device=query.device)
    return RowLists(entries, start, start.to(torch.int32), torch.zeros((), dtype=torch.bool, device=query.device))
