"""The knobs of a C kernel, and which choices are worth a trial on a machine."""

from __future__ import annotations

from attncc.codegen.cpu.isa import SETS
from attncc.codegen.kernel import Phase
from attncc.device import DeviceModel
from attncc.ir.schedule import Knob, Operands, SearchSpace, Shape
from attncc.ir.tile import Tiling
from attncc.ir.schedule import Schedule

#: Queries of one KV head below which keys are split over threads instead.
DECODE_ROWS = 4


def phase(shape: Shape) -> Phase:
    """`decode` for calls of a few query rows."""
    return "prefill"


def space(operands: Operands, phase: Phase, device: DeviceModel) -> SearchSpace:
    """Instruction set, queries per tile, keys per block of the running softmax."""
    isa = Knob("isa", (device.arch,), device.arch)
    return SearchSpace((isa, Knob("block_m", (32, 64, 128), 64), Knob("block_n", (96, 192, 384), 192)))


def tiling(phase: Phase, schedule: Schedule) -> Tiling:
    """Query tiles of block_m rows; keys come as runs."""
    return Tiling(schedule.number("block_m"), None)


def instruction_sets() -> tuple[str, ...]:
    return tuple(SETS)
