"""The knobs of a Triton kernel, their defaults, and which choices cannot work on a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from attncc.codegen.kernel import Phase
from attncc.codegen.triton.defaults import default
from attncc.codegen.triton.emit import head_block
from attncc.device import DeviceModel
from attncc.ir.schedule import BYTES, Knob, KnobValue, Operands, Schedule, SearchSpace, Shape
from attncc.ir.tile import Tiling

#: Query rows up to which a call is a decode: one small query tile, or two where they straddle a boundary.
DECODE_ROWS = 16

CHOICES: Mapping[Phase, Mapping[str, tuple[KnobValue, ...]]] = {
    "prefill": {
        "BLOCK_M": (16, 32, 64, 128),
        "BLOCK_N": (16, 32, 64, 128),
        "num_warps": (4, 8),
        "num_stages": (1, 2, 3, 4),
    },
    "decode": {
        "BLOCK_M": (16,),
        "BLOCK_N": (16, 32, 64, 128),
        "num_warps": (2, 4, 8),
        "num_stages": (1, 2, 3, 4),
    },
}

#: Shared memory that one program may have, in KiB; where nothing is known, the least.
SHARED_KIB: Mapping[str, int] = {"sm_80": 163, "sm_89": 99, "sm_90": 227, "sm_100": 227, "sm_120": 99, "gfx942": 64}
LEAST_SHARED_KIB = 64

#: Architectures that load a whole tile by one instruction, and those that keep the query tile in shared memory.
DESCRIPTOR_ARCHES = ("sm_90", "sm_100", "sm_120")
QUERY_SHARED_ARCHES = ("sm_90", "sm_100")

#: Accumulators that a thread can hold beside everything else before the compiler spills; fewer where the thread also
#: multiplies, which is what float32 comes to on NVIDIA.
ACCUMULATORS, ACCUMULATORS_MULTIPLYING = 128, 34


def phase(shape: Shape) -> Phase:
    """Decode for a handful of query rows, which a small query tile serves best."""
    return "decode" if shape.q_len <= DECODE_ROWS else "prefill"


def tiling(phase: Phase, schedule: Schedule) -> Tiling:
    """Both sides of a tile are knobs."""
    return Tiling(schedule.number("BLOCK_M"), schedule.number("BLOCK_N"))


def space(operands: Operands, phase: Phase, device: DeviceModel) -> SearchSpace:
    """Every schedule that may fit `device`; the default is one that cross-compiles there without spills."""
    loads = ("pointer", "descriptor") if _describable(operands, device) else ("pointer",)
    chosen = default(operands, phase, device.arch)
    knobs = [Knob(name, values, chosen[name]) for name, values in CHOICES[phase].items()]
    knobs.append(Knob("loads", loads, chosen["loads"] if chosen["loads"] in loads else "pointer"))
    return SearchSpace(tuple(knobs), partial(_refusal, operands, device))


def _describable(operands: Operands, device: DeviceModel) -> bool:
    """Whether tile loads exist there, and a row of a key is a multiple of 16 bytes. For float32, whose products are not
    made from shared memory, they only cost registers."""
    whole = operands.head_dim * BYTES[operands.dtype] % 16 == 0
    return whole and operands.dtype != "float32" and device.arch in DESCRIPTOR_ARCHES


def _refusal(operands: Operands, device: DeviceModel, schedule: Schedule) -> str | None:
    shared = _shared_bytes(operands, device.arch, schedule) / 1024
    most = SHARED_KIB.get(device.arch, LEAST_SHARED_KIB)
    if shared > most:
        return f"needs {shared:.0f} KiB of shared memory, {device.arch} has {most}"
    multiplying = operands.dtype == "float32" and device.kind == "cuda"
    held, fit = _accumulators(operands, device, schedule), ACCUMULATORS_MULTIPLYING if multiplying else ACCUMULATORS
    if held > fit:
        return f"would spill: {held:.0f} accumulators a thread, {fit} fit"
    return None


def _shared_bytes(operands: Operands, arch: str, schedule: Schedule) -> int:
    """Key and value tiles, once for each stage of the pipeline, and the query tile where it lies there too."""
    rows = 2 * schedule.number("BLOCK_N") * schedule.number("num_stages")
    if arch in QUERY_SHARED_ARCHES:
        rows += schedule.number("BLOCK_M")
    return rows * head_block(operands.head_dim) * BYTES[operands.dtype]


def _accumulators(operands: Operands, device: DeviceModel, schedule: Schedule) -> float:
    """Elements of the score tile and of the output tile that each thread holds."""
    threads = schedule.number("num_warps") * (64 if device.kind == "hip" else 32)
    columns = schedule.number("BLOCK_N") + head_block(operands.head_dim)
    return schedule.number("BLOCK_M") * columns / threads
