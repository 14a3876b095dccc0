"""How many programs run on one unit of a GPU at a time, and what keeps out the next one?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from attncc.autotune.gpus import Unit
from attncc.autotune.request import Used

Limit: TypeAlias = Literal["registers", "shared memory", "warps", "programs"]

#: A unit has so many schedulers, and each warp belongs to one of them.
SCHEDULERS = 4


@dataclass(frozen=True, slots=True)
class Occupancy:
    """`programs` at a time, 0 when not even one fits, and what there is no more of."""

    programs: int
    limit: Limit


def occupancy(warps: int, used: Used, unit: Unit) -> Occupancy:
    """The programs of `warps` warps that fit `unit`."""
    steps = -(-max(1, used.registers) * unit.lanes // unit.register_step)
    by_registers = unit.registers // (steps * unit.register_step) // SCHEDULERS * SCHEDULERS
    fitting: dict[Limit, int] = {
        "registers": by_registers // warps,
        "shared memory": _by_shared(used.shared_bytes, unit),
        "warps": unit.warps // warps,
        "programs": unit.programs,
    }
    limit = min(fitting, key=lambda name: fitting[name])
    return Occupancy(fitting[limit], limit)


def _by_shared(shared_bytes: int, unit: Unit) -> int:
    if shared_bytes > unit.program_bytes:
        return 0
    return unit.shared_bytes // max(1, shared_bytes + unit.reserved_bytes)
