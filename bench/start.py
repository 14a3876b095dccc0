"""How long from starting Python to the first result of a pattern that was never tuned, and to a library of many?"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from attncc.autotune.job import Job, writer_for
from attncc.device import host
from attncc.ir.schedule import Operands, Shape
from attncc.library.entry import Timing, Trial
from attncc.library.store import KernelLibrary
from attncc.report.record import Cost
from attncc.spec import load, lower

FIRST_CALL = """
import time
began = time.perf_counter()
import torch
loaded = time.perf_counter()
import attncc
query, key, value = (torch.randn(1, 4, 1024, 128) for _ in range(3))
attncc.attention(query, key, value, attncc.Pattern.load("a_shape"))
print(loaded - began, time.perf_counter() - loaded)
"""

#: What nobody needs who only looks schedules up.
UNWANTED = ("triton", "optuna", "ray", "attncc.codegen.cpu.build")
OPENING = f"""
import sys, time
import torch
before = set(sys.modules)
began = time.perf_counter()
import attncc
loaded = time.perf_counter()
from pathlib import Path
from attncc.library.store import KernelLibrary
with KernelLibrary(Path(sys.argv[1])) as library:
    entries = library.entries()
opened = time.perf_counter()
found = [name for name in {UNWANTED} if name in sys.modules and name not in before]
assert not found, f"opening a library imports {{found}}"
assert len(entries) == int(sys.argv[2])
print(loaded - began, opened - loaded)
"""
KERNELS = 100


def costs() -> tuple[Cost, ...]:
    """With an empty kernel cache, which runs the C compiler, and once more from the cache."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o700)
        torch_seconds, compiled = _first_result(folder)
        _, cached = _first_result(folder)
        ours, opened = _opened(folder)
    return (
        Cost("import torch", torch_seconds),
        Cost("from there to the first result of a_shape, C compiler included", compiled),
        Cost("from there to the first result of a_shape, from the kernel cache", cached),
        Cost("import attncc after torch", ours),
        Cost(f"from there to a library of {KERNELS} kernels, opened and read", opened),
    )


def _first_result(cache: str) -> tuple[float, float]:
    return _seconds(cache, FIRST_CALL)


def _opened(folder: str) -> tuple[float, float]:
    """The time to import attncc, and then to open and read a library of KERNELS decisions."""
    library = Path(folder, "library")
    with KernelLibrary(library) as kept:
        pattern, device = lower.lower(load.find("causal"), {}), host()
        for number in range(KERNELS):
            shape = Shape(1, 1 << number % 7, 1, 1 << number // 7, 1 << number // 7, 64)
            job = Job(pattern, Operands("float32", 64), shape, device, writer_for(device))
            trial = Trial(job.space().default(), f"{number:064x}", Timing(90.0, 1.0, 96, 100.0))
            kept.put(job.decision(trial, "measured", 12, kept.session))
        assert len(kept.entries()) == KERNELS, "every shape has a key of its own"
    return min((_seconds(folder, OPENING, str(library), str(KERNELS)) for _ in range(5)), key=sum)


def _seconds(cache: str, program: str, *arguments: str) -> tuple[float, float]:
    """The two times that a program prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "ATTNCC_CACHE": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    one, other = done.stdout.split()
    return float(one), float(other)
