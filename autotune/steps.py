"""What does a step of keys cost one unit of a GPU, each kind of work by itself?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from attncc.autotune.counts import Counts
from attncc.autotune.gpus import Figures
from attncc.autotune.request import Used
from attncc.codegen.triton.order import BY_HEAD, Order
from attncc.ir.schedule import Operands, Schedule, Shape

Floats: TypeAlias = npt.NDArray[np.float64]

#: Cycles from asking for a tile in global memory to having it, when nothing else hides them.
LATENCY: Final = 800.0
#: Without the fastest matrix instructions of an architecture, products run at about half speed.
SLOW_PRODUCTS: Final = 0.5
#: Cycles in which a program waits for its own warps, per step.
BARRIERS: Final = 100.0
#: Operations per score beside its exponential: scale, compare, subtract, sum, convert; and those of a mask.
SOFTMAX_OPERATIONS: Final = 5
MASK_OPERATIONS: Final = 6
#: Products take at least so many rows.
LEAST_ROWS: Final = 16


@dataclass(frozen=True, slots=True)
class Call:
    """A kernel and what it is called for; `units` is how many SMs or compute units there are, `order` how its query
    tiles follow each other."""

    counted: Counts
    operands: Operands
    schedule: Schedule
    used: Used
    shape: Shape
    units: int
    figures: Figures
    order: Order = BY_HEAD

    @property
    def rows(self) -> int:
        """Rows of a query tile, those included that products need and nobody asked for."""
        return max(LEAST_ROWS, self.schedule.number("BLOCK_M"))

    @property
    def scores(self) -> int:
        """Scores of one step."""
        return self.rows * self.schedule.number("BLOCK_N")

    def spread(self, each: npt.NDArray[np.generic]) -> Floats:
        """A number for each query tile as one for each tile of every head, in the order in which they start. A program
        of single positions takes all heads that share their keys, if those visit the same ones."""
        alike = each.shape[1] == 1 and self.schedule.number("BLOCK_M") == 1
        heads = self.shape.kv_heads * -(-self.shape.group // LEAST_ROWS) if alike else self.shape.q_heads
        tiles = each.shape[2]
        full = np.broadcast_to(each, (self.shape.batch, heads, tiles)).astype(np.float64)
        ordered = full if self.order.from_first else full[:, :, ::-1]
        return ordered.reshape(-1, self.order.together, tiles).transpose(0, 2, 1).ravel()

    def programs(self, tiles: int) -> npt.NDArray[np.intp]:
        """Which program takes each of so many tiles, in the order in which they start: each its own, or as persistent
        programs share them out, every second round the other way."""
        most = self.schedule.switch("persistent") * self.units
        place = np.arange(tiles)
        if not 0 < most < tiles:
            return place
        turn, at = np.divmod(place, most)
        return np.where((turn % 2 == 1) & (turn < tiles // most), most - 1 - at, at)


@dataclass(frozen=True, slots=True)
class StepCycles:
    """Cycles of a unit for one step of one program: products, softmax, waiting for keys, a mask."""

    products: float
    softmax: float
    waiting: float
    mask: float


def step_cycles(call: Call) -> StepCycles:
    """Each kind of work of a step of a program."""
    unit, operands, schedule = call.figures.unit, call.operands, call.schedule
    rescaled = call.rows * operands.head_dim
    operations = (SOFTMAX_OPERATIONS * call.scores + rescaled) / unit.operations
    return StepCycles(
        products(call) / (1.0 if call.used.tensor_cores else SLOW_PRODUCTS),
        call.scores / unit.exponentials + operations + BARRIERS,
        LATENCY / schedule.number("num_stages"),
        call.scores * MASK_OPERATIONS / unit.operations,
    )


def products(call: Call) -> float:
    """Cycles for both products of a step at the peak."""
    unit, board = call.figures.unit, call.figures.board
    rate = unit.float32_flops if call.operands.dtype == "float32" else board.matrix_flops
    return 4 * call.scores * call.operands.head_dim / rate
