"""How long would a kernel take on a GPU that is not here? Exact tile counts, times what a tile costs, over the SMs.

It ranks schedules; its microseconds are those of a machine without launch latency, memory stalls or clock limits.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from attncc.autotune.counts import Counts
from attncc.autotune.gpus import Unit
from attncc.autotune.request import Used
from attncc.device import DeviceModel
from attncc.ir.schedule import Operands, Schedule, Shape

#: Cycles from asking for a tile in global memory to having it, when nothing else hides them.
LATENCY: Final = 800.0
#: Cycles of a program before its first and after its last tile.
ENDS: Final = 2500.0
#: Without the fastest matrix instructions of an architecture, products run at about half speed.
SLOW_PRODUCTS: Final = 0.5
#: Cycles in which a program waits for its own warps, per key tile.
BARRIERS: Final = 100.0
#: Operations per score beside its exponential: scale, compare, subtract, sum, convert; and those of a mask.
SOFTMAX_OPERATIONS: Final = 5
MASK_OPERATIONS: Final = 6
#: Beyond so many programs the last ones no longer matter, and work is taken as evenly spread.
SCHEDULED: Final = 20000


@dataclass(frozen=True, slots=True)
class TileCycles:
    """Cycles of a unit for one key tile of one program, without and with a mask."""

    full: float
    masked: float


def micros(
    counted: Counts, operands: Operands, schedule: Schedule, used: Used, shape: Shape, device: DeviceModel, unit: Unit
) -> float:
    """Microseconds for a call of `shape`, whose tiles are `counted`, by a kernel that fits `unit`."""
    programs = resident(schedule, used, unit)
    tile = tile_cycles(operands, schedule, used, unit, programs)
    lengths = counted.full * tile.full + counted.masked * tile.masked + ENDS
    each = np.broadcast_to(lengths, (shape.batch, shape.q_heads, lengths.shape[2])).ravel()
    return makespan(each * programs, device.units * programs) / (unit.gigahertz * 1e3)


def resident(schedule: Schedule, used: Used, unit: Unit) -> int:
    """Programs that fit one unit at a time; 0 when not even one does."""
    warps = schedule.number("num_warps")
    by_registers = unit.registers // max(1, used.registers * warps * unit.lanes)
    by_shared = unit.shared_kib * 1024 // max(1, used.shared_bytes)
    return min(by_registers, by_shared, unit.warps // warps)


def tile_cycles(operands: Operands, schedule: Schedule, used: Used, unit: Unit, programs: int) -> TileCycles:
    """What a key tile costs when `programs` share a unit: what one cannot overlap by itself, the others fill in."""
    scores = schedule.number("BLOCK_M") * schedule.number("BLOCK_N")
    rate = unit.float32_flops if operands.dtype == "float32" else unit.matrix_flops
    products = 4 * scores * operands.head_dim / (rate * (1.0 if used.tensor_cores else SLOW_PRODUCTS))
    rescaled = schedule.number("BLOCK_M") * operands.head_dim
    operations = (SOFTMAX_OPERATIONS * scores + rescaled) / unit.operations
    softmax = scores / unit.exponentials + operations + BARRIERS
    waiting = LATENCY / schedule.number("num_stages")
    full = max(products, softmax) + (min(products, softmax) + waiting) / programs
    return TileCycles(full, full + scores * MASK_OPERATIONS / unit.operations)


def makespan(lengths: npt.NDArray[np.float64], slots: int) -> float:
    """When the last program ends, if each starts, in launch order, as soon as a slot is free."""
    if lengths.size > SCHEDULED:
        return max(float(lengths.sum()) / slots, float(lengths.max()))
    free = [0.0] * slots
    for length in lengths.tolist():
        heapq.heapreplace(free, free[0] + length)
    return max(free)
