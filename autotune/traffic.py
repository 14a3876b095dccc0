"""What does a call move through the cache, what must come from memory, and how long does that take?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attncc.ir.schedule import BYTES

if TYPE_CHECKING:
    from attncc.autotune.steps import Call

#: Bytes of the float32 that a row leaves beside its output.
LSE_BYTES = 4
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that programs ask of the cache, and that come from memory; `least_bytes` must come however it is done.
    Microseconds are those at full bandwidth."""

    cache_bytes: float
    memory_bytes: float
    least_bytes: float
    cache_micros: float
    memory_micros: float
    least_micros: float


def traffic(call: Call, slots: int) -> Traffic:
    """The traffic of a call when `slots` programs run at a time.

    Programs that run together belong to few heads, whose keys and values stay in the cache if it has room for them; of
    what it has no room for, each program fetches its share again.
    """
    shape, board, counted = call.shape, call.figures.board, call.counted
    key_bytes = 2 * shape.head_dim * BYTES[call.operands.dtype]
    steps = call.spread(counted.full + counted.masked)
    rows = shape.batch * shape.q_heads * shape.q_len
    ends = rows * (key_bytes + LSE_BYTES)
    asked = float(steps.sum()) * call.schedule.number("BLOCK_N") * key_bytes + ends
    tiles = counted.full.shape[2]
    pairs = shape.batch * shape.kv_heads
    least = pairs * int(counted.keys.max(initial=0)) * key_bytes + ends
    once = pairs * min(shape.kv_len, int(counted.keys.sum(2).max())) * key_bytes + ends
    heads = min(pairs, max(-(-slots // (tiles * shape.group)) + 1, _side_by_side(call, slots // tiles)))
    held = heads * shape.kv_len * key_bytes
    missed = max(0.0, 1 - board.cache_mib * MIB / held)
    moved = min(asked, once) + missed * max(0.0, asked - once)
    return Traffic(
        asked, moved, least, asked / board.cache_gigabytes / 1e3, moved / board.memory_gigabytes / 1e3,
        least / board.memory_gigabytes / 1e3,
    )  # fmt: skip


def _side_by_side(call: Call, heads: int) -> int:
    """KV heads of which programs read together, if there is room for so many query heads at a time, whose tiles start
    side by side."""
    together = call.order.together
    return max(1, -(-heads // together)) * together // call.shape.group
