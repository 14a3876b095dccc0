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
    """One more than the last position of each row block, or kv_len where the choice is not causal: int64 [blocks]."""
    rows = call.geometry.rows
    if rows is None or not call.causal:
        return torch.full((len(part),), call.kv_len, device=device)
    return (torch.arange(part.start, part.stop, device=device) * rows + rows).clamp(max=call.kv_len)


def plain_stop(call: Call, block: int) -> int:
    """One more than the last position of a row block, or kv_len where the choice is not causal."""
    return members(call, block).stop if call.causal else call.kv_len


def left_out(call: Call, part: range, size: int) -> Tensor:
    """What is seen in any case, in steps of `size` keys: bool [blocks, steps]. True where a step has no key but of the
    first `sink` ones and, where the choice is causal, of those that the last row of the block sees within `window`."""
    device = call.key.device
    key = torch.arange(0, call.kv_len, size, device=device)
    inside = ((key + size).clamp(max=call.kv_len) <= number(call, "sink")).expand(len(part), -1)
    if not call.causal or not number(call, "window"):
        return inside
    return inside | (key >= stops(call, part, device)[:, None] - number(call, "window"))


def plain_left_out(call: Call, block: int) -> set[int]:
    """The keys that `left_out` leaves out, one by one."""
    window = set(range(max(0, plain_stop(call, block) - number(call, "window")), call.kv_len))
    return set(range(number(call, "sink"))) | (window if call.causal and number(call, "window") else set())


def averages(call: Call, part: range, stride: int) -> tuple[Tensor, Tensor]:
    """(mean, present): means of each `stride` consecutive rows of a row block, as far as they exist, times the scale.

    float32 [batch, q_heads, blocks, groups, head_dim], and bool [blocks, groups], false where no row of a group exists.
    """
    rows, offset = _grid(call, part, stride)
    exist = ((rows >= 0) & (rows < call.q_len) & (offset >= 0)).unflatten(-1, (-1, stride))
    taken = call.query.index_select(2, rows.clamp(0, call.q_len - 1).flatten()).float()
    taken = taken.unflatten(2, exist.shape).masked_fill(~exist.unsqueeze(-1), 0.0)
    count = exist.sum(-1)
    return taken.sum(-2) / count.clamp(min=1).unsqueeze(-1) * call.scale, count > 0


def samples(call: Call, part: range, stride: int) -> Tensor:
    """The last of each `stride` consecutive rows of a row block, as far as they exist, times the scale.

    float32 [batch, q_heads, blocks, groups, head_dim]; for groups that do not exist, another sample of the row block.
    """
    rows, _ = _grid(call, part, stride)
    first = groups(call, call.rows[0], stride)[0][-1]
    last = rows.unflatten(-1, (-1, stride))[..., -1]
    last = last.minimum(rows[:, :1] + _size(call) - 1).clamp(first, call.q_len - 1)
    taken: Tensor = call.query.index_select(2, last.flatten()).float().unflatten(2, last.shape)
    return taken * call.scale


def _size(call: Call) -> int:
    return call.q_len if call.geometry.rows is None else call.geometry.rows


def _grid(call: Call, part: range, stride: int) -> tuple[Tensor, Tensor]:
    """(rows, offset): row numbers of the call, [blocks, whole groups], and offset, below zero past the row block."""
    size = _size(call)
    offset = torch.arange(-(-size // stride) * stride, device=call.query.device)
    first = torch.arange(part.start, part.stop, device=call.query.device)[:, None] * size
    before = 0 if call.geometry.rows is None else call.kv_len - call.q_len
    return first + offset - before, torch.where(offset < size, offset, -1)
