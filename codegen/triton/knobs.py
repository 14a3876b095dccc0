"""The knobs of a Triton kernel, and which choices cannot be built for a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from attncc.codegen.kernel import Phase
from attncc.codegen.triton.emit import head_block
from attncc.device import DeviceModel
from attncc.ir.schedule import BYTES, Knob, Operands, Schedule, SearchSpace, Shape
from attncc.ir.tile import Tiling

#: Query rows up to which a call is a decode: one small query tile, or two where they straddle a boundary.
DECODE_ROWS = 16

#: Shared memory that one program may ask for, in KiB.
SHARED_KIB: Mapping[str, int] = {
    "sm_80": 163,
    "sm_89": 99,
    "sm_90": 227,
    "sm_100": 227,
    "sm_120": 99,
    "gfx942": 64,
}

#: Architectures that load a whole tile by one instruction.
DESCRIPTOR_ARCHES = ("sm_90", "sm_100", "sm_120")

#: float32 accumulators a thread can hold beside everything else before the compiler spills.
ACCUMULATORS = 128


def phase(shape: Shape) -> Phase:
    """Decode for a handful of query rows, which small query tiles serve best."""
    return "decode" if shape.q_len <= DECODE_ROWS else "prefill"


def tiling(phase: Phase, schedule: Schedule) -> Tiling:
    """Both sides of a tile are knobs."""
    return Tiling(schedule.number("BLOCK_M"), schedule.number("BLOCK_N"))
