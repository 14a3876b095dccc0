"""How fast one core can multiply-add at all: the yardstick for every fraction of peak."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from attncc.codegen.cpu.toolchain import compiler
from attncc.device import CPU_ARCHES, host
from attncc.ir.schedule import DType
from attncc.report.record import Peak
from attncc.report.speed import YARDSTICKS

SOURCE = Path(__file__).with_name("peak.c")
REPEATS = 7
#: More than any cache holds.
MEMORY_BYTES = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Loop:
    """A C function of peak.c, how many rounds take a few milliseconds, and the CPU features it needs."""

    function: str
    rounds: int
    arch: str


LOOPS: Mapping[str, Loop] = {
    "avx2 fma float32": Loop("fma_avx2", 200_000, "avx2"),
    "avx512 fma float32": Loop("fma_avx512", 100_000, "avx512"),
    "avx512 dpbf16": Loop("dot_bf16", 50_000, "avx512_bf16"),
    "amx bf16": Loop("amx_bf16", 100_000, "avx512_bf16+amx"),
}


def peaks() -> tuple[Peak, ...]:
    """The best of REPEATS for every loop this CPU can run; none where it is no x86. Raises NoCompiler."""
    return tuple(_measured()) if "avx2" in _arches() else ()


def yardstick(dtype: DType) -> Callable[[], float] | None:
    """Measures at each call what kernels of `dtype` are held against, in GFLOP/s of one core."""
    if "avx2" not in _arches():
        return None
    return next((probe for name in YARDSTICKS[dtype] if (probe := _probe(name))), None)


def bandwidth() -> float | None:
    """GB/s of CPU time that one core reads from memory, the best of REPEATS; None where it is no x86."""
    if "avx2" not in _arches():
        return None
    data = np.ones(MEMORY_BYTES // 4, np.float32)
    function = _built().read_avx2
    function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_long], ctypes.c_double
    return max(float(function(data.ctypes.data, MEMORY_BYTES)) for _ in range(REPEATS))


@cache
def _built() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "peak.so"
        subprocess.run([*compiler().command, "-O2", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        return ctypes.CDLL(str(library))


def _measured() -> Iterator[Peak]:
    for instruction in LOOPS:
        if probe := _probe(instruction):
            yield Peak(instruction, max(probe() for _ in range(REPEATS)))


def _probe(instruction: str) -> Callable[[], float] | None:
    """GFLOP/s of one core, measured at each call; None if the host has no such instruction."""
    loop, library = LOOPS[instruction], _built()
    if loop.arch not in _arches() or ("amx" in instruction and not library.amx_permitted()):
        return None
    function = getattr(library, loop.function)
    function.argtypes, function.restype = [ctypes.c_long], ctypes.c_double
    return lambda: float(function(loop.rounds))


def _arches() -> tuple[str, ...]:
    """The host's instruction set and every poorer one."""
    arches = tuple(CPU_ARCHES)
    return arches[arches.index(host().arch) :]
