"""What can a GPU do in a clock cycle, how much does it hold, and how fast is its memory? From the makers' documents.

A GPU that is not listed is taken for the listed one that it is most like.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from attncc.device import NAMED, DeviceModel, distance
from attncc.errors import NoModel

KIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Unit:
    """One SM or compute unit. Rates per cycle: operations of float32 multiply-adds, exponentials, other float32
    instructions of a thread. Capacities: bytes of shared memory in all and of one program, 32-bit registers and the
    step in which a warp gets them, warps of `lanes` threads, programs. `reserved_bytes` of shared memory are lost to
    each program."""

    float32_flops: int
    exponentials: int
    operations: int
    shared_bytes: int
    program_bytes: int
    reserved_bytes: int
    registers: int
    register_step: int
    warps: int
    programs: int
    lanes: int


@dataclass(frozen=True, slots=True)
class Board:
    """One model. `matrix_flops` are operations per cycle and unit of dense 16-bit products with float32 sums,
    `gigahertz` the clock that the peak is stated for; bandwidths of memory and of the cache before it are in gigabytes
    a second."""

    matrix_flops: int
    gigahertz: float
    memory_gigabytes: int
    cache_gigabytes: int
    cache_mib: int
    source: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a device: its own figures, or, if `of` is not its own name, those of the model most like it."""

    of: str
    unit: Unit
    board: Board


#: CUDA C++ Programming Guide: technical specifications per compute capability; throughput of arithmetic instructions.
#: Registers go to a warp in steps of 256, and 1 KiB of shared memory to the system for each block (CUDA occupancy
#: calculator). AMD: CDNA 3 ISA guide; vector registers of four SIMDs, an exponential takes a quarter of the rate.
UNITS: Final[Mapping[str, Unit]] = {
    "sm_80": Unit(128, 16, 64, 164 * KIB, 163 * KIB, KIB, 65536, 256, 64, 32, 32),
    "sm_89": Unit(256, 16, 128, 100 * KIB, 99 * KIB, KIB, 65536, 256, 48, 24, 32),
    "sm_90": Unit(256, 16, 128, 228 * KIB, 227 * KIB, KIB, 65536, 256, 64, 32, 32),
    "sm_100": Unit(256, 16, 128, 228 * KIB, 227 * KIB, KIB, 65536, 256, 64, 32, 32),
    "sm_120": Unit(256, 16, 128, 100 * KIB, 99 * KIB, KIB, 65536, 256, 48, 24, 32),
    "gfx942": Unit(256, 16, 64, 64 * KIB, 64 * KIB, 0, 131072, 512, 32, 16, 64),
}

#: Peaks divided by units and clock give the power of two that they must be: 312 TFLOPS of A100 over 108 SMs at 1.41 GHz
#: give 2048. Consumer boards sum in float32 at half the rate of their architecture. The cache of A100 and H100 moves
#: 5120 bytes a cycle (whitepaper of A100); for other NVIDIA boards 40 bytes a cycle and SM are assumed, as in these.
BOARDS: Final[Mapping[str, Board]] = {
    "A100": Board(2048, 1.41, 2039, 7200, 40, "data sheet of A100 80GB SXM; A100 whitepaper"),
    "L4": Board(1024, 2.04, 300, 4700, 48, "data sheet of L4, 121 TFLOPS; cache bandwidth assumed"),
    "L40S": Board(1024, 2.52, 864, 14300, 96, "data sheet of L40S, 362 TFLOPS; cache bandwidth assumed"),
    "RTX4090": Board(512, 2.52, 1008, 12900, 72, "Ada whitepaper, 165 TFLOPS; cache bandwidth assumed"),
    "H100": Board(4096, 1.83, 3350, 9400, 50, "data sheet of H100 SXM, 989 TFLOPS; Hopper whitepaper"),
    "H100PCIe": Board(4096, 1.62, 2000, 8300, 50, "data sheet of H100 PCIe, 756 TFLOPS; Hopper whitepaper"),
    "H200": Board(4096, 1.83, 4800, 9400, 60, "data sheet of H200, 989 TFLOPS; cache as H100"),
    "GH200": Board(4096, 1.83, 4000, 9400, 60, "data sheet of GH200 with HBM3, 990 TFLOPS; cache as H100"),
    "B200": Board(8192, 1.86, 8000, 11000, 126, "data sheet of B200, 2250 TFLOPS; cache bandwidth assumed"),
    "RTX5090": Board(512, 2.41, 1792, 16400, 96, "RTX Blackwell whitepaper, 209.5 TFLOPS; cache bandwidth assumed"),
    "MI300X": Board(
        2048, 2.1, 5300, 17200, 256, "data sheet of MI300X, 1307 TFLOPS; CDNA 3 whitepaper: Infinity Cache"
    ),
}

#: Whose figures stand for an architecture that has none of its own.
RELATED: Final[Mapping[str, str]] = {
    "sm_86": "sm_89",
    "sm_87": "sm_80",
    "sm_103": "sm_100",
    "sm_121": "sm_120",
    "gfx950": "gfx942",
}


def figures(device: DeviceModel) -> Figures:
    """The figures of `device`, or of the known GPU of its architecture that it is most like. Raises NoModel."""
    like = replace(device, arch=RELATED.get(device.arch, device.arch))
    name, nearest = min(NAMED.items(), key=lambda known: distance(like, known[1]))
    if nearest.arch != like.arch or nearest.kind != like.kind:
        raise NoModel(device.name, device.arch, tuple(UNITS))
    return Figures(nearest.name, UNITS[nearest.arch], BOARDS[name])
