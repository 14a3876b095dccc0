"""Which units a row block may choose, and which it must."""

from __future__ import annotations

import torch
from torch import Tensor

from attncc.ir.selection import Always
from attncc.selectors.score import Call


def positions(call: Call, part: range, device: torch.device) -> tuple[Tensor, Tensor]:
    """First and last position of each row block of `part`, int64 [rows]; of all queries if they share a choice."""
    rows = call.geometry.rows
    number = torch.arange(part.start, part.stop, device=device)
    if rows is None:
        return number + max(0, call.first), number + call.kv_len - 1
    return number * rows, number * rows + rows - 1


def reachable(call: Call, part: range, device: torch.device) -> Tensor:
    """How many units, from 0 on, each row block may choose from: int64 [rows].

    Where causal, those that begin at or before its last position. Every distance is reachable.
    """
    _, last = positions(call, part, device)
    if not call.causal or call.geometry.step is not None:
        return torch.full_like(last, call.units)
    return last.floor_divide(call.geometry.size).add(1).clamp(0, call.units)


def own(call: Call, part: range, device: torch.device) -> tuple[Tensor, Tensor]:
    """First and last unit that holds a position of each row block, int64 [rows]; distance 0 for sets of distances."""
    first, last = positions(call, part, device)
    if call.geometry.step is not None:
        return torch.zeros_like(first), torch.zeros_like(first)
    return first.floor_divide(call.geometry.size), last.floor_divide(call.geometry.size)


def forced(call: Call, part: range, always: Always, device: torch.device) -> Tensor:
    """Which units are in whatever their scores: bool [rows, units], reachable ones only."""
    unit = torch.arange(call.units, device=device)
    most = reachable(call, part, device)[:, None]
    inside = (unit < always.first) | (unit >= most - always.last)
    if always.own:
        first, last = own(call, part, device)
        inside |= (unit >= first[:, None]) & (unit <= last[:, None])
    return inside & (unit < most)


def most_forced(call: Call, part: range, always: Always) -> Tensor:
    """At least as many units as are forced in each row block: int64 [rows], on the host."""
    first, last = own(call, part, torch.device("cpu"))
    return (last - first + 1) * always.own + (always.first + always.last)
