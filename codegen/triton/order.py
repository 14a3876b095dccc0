"""In which order do the query tiles of a call start? Those with most keys first, side by side in all heads whose keys
the cache holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from attncc.ir.schedule import BYTES, DType, Shape

#: The share of the cache that keys and values may fill; queries and results pass through it too.
CACHE_SHARE: Final = 0.5
#: The cache of a GPU of which nobody said.
UNKNOWN_CACHE_MIB: Final = 32


@dataclass(frozen=True, slots=True)
class Order:
    """All heads of a call, batch by batch, are taken `together` at a time; of these, one query tile each after the
    other, from the last tile to the first or, with `from_first`, from the first to the last."""

    together: int
    from_first: bool = False


#: The order of a grid with a side for query tiles, one for heads and one for batches.
BY_HEAD: Final = Order(together=1)


def together(shape: Shape, dtype: DType, cache_mib: int) -> int:
    """Query heads that start side by side: those of as many KV heads as the cache has room for, at least one; a divisor
    of all heads of the call."""
    pair_bytes = 2 * shape.kv_len * shape.head_dim * BYTES[dtype]
    room = int((cache_mib or UNKNOWN_CACHE_MIB) * CACHE_SHARE * (1 << 20)) // pair_bytes
    pairs = shape.batch * shape.kv_heads
    return max(count for count in range(1, max(1, min(room, pairs)) + 1) if pairs % count == 0) * shape.group
