"""How long would a kernel take on a GPU, present or not? Exact step counts, times what a step costs, over the units.

It ranks schedules; its microseconds are those of data sheets, unless weights that were fitted to measurements correct
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from attncc.autotune.makespan import makespan
from attncc.autotune.occupancy import Occupancy, occupancy
from attncc.autotune.steps import Call, Floats, products, step_cycles
from attncc.autotune.traffic import traffic

#: What the time of a call is made of: the busier of products and softmax, what the other adds where no second program
#: fills in, waiting for tiles, masks, the ends of programs, memory that does not keep up, the launch.
Part: TypeAlias = Literal["busier", "other", "waiting", "masks", "ends", "memory", "launch"]
PARTS: Final[tuple[Part, ...]] = ("busier", "other", "waiting", "masks", "ends", "memory", "launch")

#: Cycles from asking for a tile in global memory to having it, when nothing else hides them.
LATENCY: Final = 800.0
#: Cycles of a program before its first and after its last tile.
ENDS: Final = 2500.0
#: Without the fastest matrix instructions of an architecture, products run at about half speed.
SLOW_PRODUCTS: Final = 0.5
#: Cycles in which a program waits for its own warps, per step.
BARRIERS: Final = 100.0
#: Operations per score beside its exponential: scale, compare, subtract, sum, convert; and those of a mask.
SOFTMAX_OPERATIONS: Final = 5
MASK_OPERATIONS: Final = 6
#: Microseconds until the first program of a kernel runs.
LAUNCH_MICROS: Final = 2.0
#: Boards run above the clock that their peak is stated for, if power and temperature allow: for the bound.
CLOCK_MARGIN: Final = 1.25


@dataclass(frozen=True, slots=True)
class Weights:
    """By what each of PARTS is multiplied, and how many timed schedules say so."""

    values: tuple[float, ...]
    trials: int


#: Nothing was measured.
DATASHEET: Final = Weights((1.0,) * len(PARTS), 0)


@dataclass(frozen=True, slots=True)
class Estimate:
    """`parts` are microseconds in the order of PARTS, by data sheet; `micros` their weighted sum. No kernel of this
    schedule is faster than `bound`. `limits` are the microseconds that each resource alone would need. `waves` is how
    often all units are filled, `imbalance` by how much uneven programs prolong the call."""

    micros: float
    parts: tuple[float, ...]
    bound: float
    limits: Mapping[str, float]
    occupancy: Occupancy
    waves: float
    imbalance: float


def estimate(call: Call, weights: Weights = DATASHEET) -> Estimate:
    """The time of a kernel of which at least one program fits a unit."""
    unit, board = call.figures.unit, call.figures.board
    found = occupancy(call.schedule.number("num_warps"), call.used, unit)
    counted = call.counted
    steps, masked, gathered = (
        call.spread(each) for each in (counted.full + counted.masked, counted.masked, counted.gathered)
    )
    taken_by = call.programs(len(steps))
    started = int(taken_by.max(initial=0)) + 1
    programs = max(1, min(found.programs, -(-started // call.units)))
    cycles = step_cycles(call)
    busier, other = max(cycles.products, cycles.softmax), min(cycles.products, cycles.softmax)
    kinds = np.stack([
        steps * busier,
        steps * other / programs,
        (steps + gathered) * cycles.waiting / programs,
        masked * cycles.mask,
        np.full_like(steps, ENDS),
    ])  # fmt: skip
    lengths, hertz = np.bincount(taken_by, kinds.sum(0)).astype(np.float64), board.gigahertz * 1e3
    ended = makespan(lengths * programs, call.units * programs)
    imbalance = ended * call.units / lengths.sum()
    computing = kinds.sum(1) * imbalance / call.units / hertz
    moved = traffic(call, call.units * programs)
    limits = _limits(call, steps, moved.memory_micros, moved.cache_micros)
    memory = max(moved.memory_micros, moved.cache_micros) - float(computing.sum())
    parts = (*computing.tolist(), max(0.0, memory), LAUNCH_MICROS)
    micros = sum(weight * part for weight, part in zip(weights.values, parts, strict=True))
    bound = max(limits["products"], limits["exponentials"], _longest(call, steps)) / CLOCK_MARGIN
    waves = started / (call.units * programs)
    return Estimate(micros, parts, max(bound, moved.least_micros), limits, found, waves, imbalance)


def _limits(call: Call, steps: Floats, memory: float, cache: float) -> dict[str, float]:
    cycles = float(steps.sum()) / call.units / (call.figures.board.gigahertz * 1e3)
    exponentials = call.scores / call.figures.unit.exponentials
    return {
        "products": products(call) * cycles,
        "exponentials": exponentials * cycles,
        "memory": memory,
        "cache": cache,
    }


def _longest(call: Call, steps: Floats) -> float:
    """Microseconds of the program with most steps, which nobody shares, at the peak."""
    step = max(products(call), call.scores / call.figures.unit.exponentials)
    return float(steps.max(initial=0)) * step / (call.figures.board.gigahertz * 1e3)
