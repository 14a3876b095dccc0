"""Which schedules need no compiler to be refused, or put off? Those that need more registers than a thread has.

The coefficients are fitted to cross-compiled kernels (Triton 3.7, tests/autotune/compiled), and judged by others there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from attncc.autotune.steps import LEAST_ROWS
from attncc.codegen.triton.knobs import LOWERINGS, lowering
from attncc.ir.schedule import Operands, Schedule
from attncc.ir.tile import TilePlan
from attncc.library.entry import Failure

#: How products are made: by each warp from registers, from shared memory (Hopper), into a memory of their own
#: (Blackwell), or by each thread.
Products: TypeAlias = Literal["mma", "wgmma", "tcgen05", "multiply-add"]

#: Architectures with products from shared memory, for query tiles of at least so many rows.
FROM_SHARED: Final[Mapping[str, Products]] = {"sm_90": "wgmma", "sm_100": "tcgen05"}
FROM_SHARED_ROWS: Final = 64

#: A kernel that spills more is not worth a time: bytes of a thread that are stored to spilled registers.
SPILL_BYTES: Final = 64

#: Beyond the bound by so much lies one of a hundred recorded kernels worth a time; below, three of a hundred more: such
#: are put off, not refused. A closed form cannot tell better: of recorded twins that differ in their stages only, an
#: assembler spilled one and not the other in one case of nine.
SURELY: Final = 1.16

#: Loops that every kernel has; those of a plan with more of them keep more alive.
USUAL_LOOPS: Final = 2


@dataclass(frozen=True, slots=True)
class Registers:
    """Registers of a thread: of every kernel, and for each element of its scores, its output, the keys that it loads by
    pointers or by a list, for each loop beyond the usual ones, and for the loop over tiles of a persistent kernel.
    Above `most` it spills more than a little."""

    every: float
    score: float
    out: float
    pointer: float
    gathered: float
    loop: float
    turn: float
    most: float


REGISTERS: Final[Mapping[Products, Registers]] = {
    "mma": Registers(86, 1.63, 0.70, 0.43, 0.45, 12.3, 35, 262),
    "wgmma": Registers(101, 1.21, 0.77, 0.23, 0.35, 11.2, 36, 285),
    "tcgen05": Registers(104, 1.53, 0.38, 0.12, 0.43, 16.5, 35, 250),
    "multiply-add": Registers(40, 7.41, 2.77, 0.0, 0.0, 24.1, 0, 198),
}


def doomed(plan: TilePlan, operands: Operands, schedule: Schedule, arch: str) -> Failure | None:
    """Why a kernel for NVIDIA's `arch` would surely spill; None where it may do, or nothing is known."""
    needed, most = _registers(plan, operands, schedule, arch)
    if needed <= most * SURELY:
        return None
    return Failure("spills", f"would spill: about {needed:.0f} registers a thread by a closed form, not compiled")


def doubtful(plan: TilePlan, operands: Operands, schedule: Schedule, arch: str) -> bool:
    """Whether a kernel for `arch` would probably spill: worth compiling only after all others."""
    needed, most = _registers(plan, operands, schedule, arch)
    return needed > most


def sparing(schedule: Schedule) -> bool:
    """Whether a kernel stands beside a simpler one of the same tiles, and is worth no time if it spills at all."""
    return schedule.switch("persistent") > 0 or lowering(schedule) != LOWERINGS[0]


def spilled(schedule: Schedule, spill_bytes: int) -> Failure | None:
    """Why a compiled kernel is not worth a time; None if it spills no more than is allowed."""
    if spill_bytes <= (0 if sparing(schedule) else SPILL_BYTES):
        return None
    return Failure("spills", f"{spill_bytes} bytes of registers spilled")


def _registers(plan: TilePlan, operands: Operands, schedule: Schedule, arch: str) -> tuple[float, float]:
    """Those needed, and the most that do without spilling; 0 and infinite where nothing is known."""
    if not arch.startswith("sm_"):
        return 0.0, math.inf
    law = REGISTERS[products(operands, schedule, arch)]
    return registers(plan, operands, schedule, law), law.most


def products(operands: Operands, schedule: Schedule, arch: str) -> Products:
    """How a kernel of this schedule multiplies."""
    if operands.dtype == "float32":
        return "multiply-add"
    tall = schedule.number("BLOCK_M") >= FROM_SHARED_ROWS and schedule.number("num_warps") >= 4
    return FROM_SHARED.get(arch, "mma") if tall else "mma"


def registers(plan: TilePlan, operands: Operands, schedule: Schedule, law: Registers) -> float:
    """Registers of a thread, as many as there would be without a limit."""
    threads = 32 * schedule.number("num_warps")
    rows, columns, width = max(LEAST_ROWS, schedule.number("BLOCK_M")), schedule.number("BLOCK_N"), operands.head_dim
    runs = tuple(plan.runs())
    loaded = columns * width / threads
    by_pointer = law.pointer * (schedule["loads"] == "pointer")
    by_list = law.gathered * any(run.over is not None for run in runs)
    held = law.score * rows * columns / threads + law.out * rows * width / threads
    loops = law.loop * max(0, len(runs) - USUAL_LOOPS) + law.turn * (schedule.switch("persistent") > 0)
    return law.every + held + (by_pointer + by_list) * loaded + loops
