"""The query rows of a row block: where they are, averages and samples of them, and in which pieces they are taken."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from attncc.selectors.score import Call

#: Numbers that a score holds at a time, for a piece of its work: 64 MiB in float32.
MOST_HELD = 2**24


def number(call: Call, option: str) -> int:
    """An option that is a whole number."""
    value = call.options[option]
    assert isinstance(value, int), f"the option {option} is a whole number"
    return value


def word(call: Call, option: str) -> str:
    """An option that is a name."""
    value = call.options[option]
    assert isinstance(value, str), f"the option {option} is a name"
    return value


def pieces(part: range, each: int) -> Iterator[range]:
    """`part` in pieces that hold at most MOST_HELD numbers, if each member holds `each`; one member at least."""
    step = max(1, MOST_HELD // max(1, each))
    return (part[first : first + step] for first in range(0, len(part), step))


def rows_each(call: Call) -> int:
    """How many rows a row block has, those included that do not exist."""
    return call.q_len if call.geometry.rows is None else call.geometry.rows


def members(call: Call, block: int) -> range:
    """The positions of a row block that have queries in the call."""
    before = call.kv_len - call.q_len
    rows = call.geometry.rows
    if rows is None:
        return range(before, call.kv_len)
    return range(max(before, block * rows), min(call.kv_len, block * rows + rows))


def groups(call: Call, block: int, stride: int) -> list[list[int]]:
    """The row numbers of a row block, each `stride` consecutive positions of it together, as far as they exist."""
    rows = members(call, block)
    first = rows.start if call.geometry.rows is None else block * call.geometry.rows
    numbers: dict[int, list[int]] = {}
    for position in rows:
        numbers.setdefault((position - first) // stride, []).append(position - call.kv_len + call.q_len)
    return list(numbers.values())


def stops(call: Call, part: range, device: torch.device) -> Tensor:
    """One more than the last position of each row block, or kv_len where the choice is not causal: int64 [blocks].

    0 for row blocks before the first key, which there are if a call has more queries than keys.
    """
    rows = call.geometry.rows
    if rows is None or not call.causal:
        return torch.full((len(part),), call.kv_len, device=device)
    return (torch.arange(part.start, part.stop, device=device) * rows + rows).clamp(0, call.kv_len)


def plain_stop(call: Call, block: int) -> int:
    """The same for one row block."""
    return max(0, members(call, block).stop) if call.causal else call.kv_len


def left_out(call: Call, part: range, size: int) -> Tensor:
    """What is seen in any case, in steps of `size` keys: bool [blocks, steps]. True where a step has no key but of the
    first `sink` ones and, where the choice is causal, of those that the last row of the block sees within `window`."""
    device = call.key.device
    key = torch.arange(0, call.kv_len, size, device=device)
    inside = ((key + size).clamp(max=call.kv_len) <= number(call, "sink")).expand(len(part), -1)
    if not call.causal or not number(call, "window"):
        return inside
    near = stops(call, part, device)[:, None] - number(call, "window")
    return inside | (key >= near) | (near <= number(call, "sink"))


def plain_left_out(call: Call, block: int) -> set[int]:
    """The keys that `left_out` leaves out, one by one."""
    window = set(range(max(0, plain_stop(call, block) - number(call, "window")), call.kv_len))
    return set(range(number(call, "sink"))) | (window if call.causal and number(call, "window") else set())


def averages(call: Call, part: range, stride: int) -> tuple[Tensor, Tensor]:
    """(mean, present): means of each `stride` consecutive rows of a row block, as far as they exist, times the scale.

    float32 [batch, q_heads, blocks, groups, head_dim], and bool [blocks, groups], false where no row of a group exists.
    """
    first, offset = _grid(call, part, stride)
    rows = first + offset
    exist = (rows >= 0) & (rows < call.q_len) & (offset < rows_each(call))
    taken = call.query.index_select(2, rows.clamp(0, call.q_len - 1).flatten()).float()
    taken = taken.unflatten(2, exist.shape).masked_fill(~exist.unsqueeze(-1), 0.0)
    count = exist.sum(-1)
    return taken.sum(-2) / count.clamp(min=1).unsqueeze(-1) * call.scale, count > 0


def samples(call: Call, part: range, stride: int) -> Tensor:
    """The last of each `stride` consecutive rows of a row block, as far as they exist, times the scale.

    float32 [batch, q_heads, blocks, groups, head_dim]; for groups that do not exist, another sample of the row block.
    """
    first, offset = _grid(call, part, stride)
    last = first[..., 0] + offset[..., -1].clamp(max=rows_each(call) - 1)
    last = last.clamp(groups(call, call.rows[0], stride)[0][-1], call.q_len - 1)
    taken: Tensor = call.query.index_select(2, last.flatten()).float().unflatten(2, last.shape)
    return taken * call.scale


def _grid(call: Call, part: range, stride: int) -> tuple[Tensor, Tensor]:
    """(first, offset): the row of the call, below 0 perhaps, where each row block begins, [blocks, 1, 1], and offsets
    from there, [groups, stride]. Of a single row block, only groups that exist; the last may reach past its end."""
    size, device = rows_each(call), call.query.device
    before = 0 if call.geometry.rows is None else call.kv_len - call.q_len
    start, stop = 0, size
    if len(part) == 1:
        start, stop = max(0, before - part[0] * size), min(size, before + call.q_len - part[0] * size)
    group = torch.arange(start // stride, -(-stop // stride), device=device)
    first = torch.arange(part.start, part.stop, device=device) * size - before
    return first[:, None, None], group[:, None] * stride + torch.arange(stride, device=device)
