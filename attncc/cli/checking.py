"""Compares every backend that runs here with the float64 reference, call by call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import torch

from attncc import calls, compiler, device, settings
from attncc.autotune.inputs import random_inputs
from attncc.autotune.verify import Agreement, oracle, verify
from attncc.codegen.kernel import CompiledKernel
from attncc.device import DeviceKind, DeviceModel
from attncc.errors import AttnccError, NoCompiler
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DType, Operands, Shape

#: The interpreter runs a GPU kernel's program tile by tile in numpy, so it gets fewer heads.
EMULATED_TARGET = "sm_90"
LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison; `agreement` is None where there was none, for `reason`: skipped or, if `failed`, impossible."""

    backend: str
    shape: Shape
    dtype: DType
    agreement: Agreement | None
    reason: str = ""
    failed: bool = False

    @property
    def wrong(self) -> bool:
        """Whether something is amiss with the backend, and not just with what is installed here."""
        return self.failed or (self.agreement is not None and not self.agreement.holds)


@dataclass(frozen=True, slots=True)
class Runner:
    """A way to run a kernel here: its name, the shapes it is asked for, how it is made, or why it cannot be."""

    name: str
    shapes: Sequence[Shape]
    kernel: Callable[[Operands, Shape], CompiledKernel]
    missing: str | None = None


def shapes(pattern: Pattern, heads: int, kv_heads: int) -> tuple[Shape, ...]:
    """Ragged, chunked, single-query and padded-head_dim calls, and one that is longer than the mask's own numbers."""
    reach = min(LONGEST, 2 * max((value for _, value in pattern.params), default=0) + 65)
    return (
        Shape(1, heads, kv_heads, 65, 65, 64),
        Shape(2, heads, heads, 33, 33, 80),
        Shape(1, heads, kv_heads, 37, 200, 128),
        Shape(1, heads, kv_heads, 1, 257, 64),
        Shape(1, kv_heads, kv_heads, reach, reach, 64),
    )


def checks(pattern: Pattern, given: Sequence[Shape], dtypes: Sequence[DType], library: Path) -> Iterator[Check]:
    """One Check per backend, dtype and shape: those `given`, else the matrix of `shapes`."""
    for runner in _runners(pattern, library):
        for dtype in dtypes:
            for shape in given or runner.shapes:
                yield _check(runner, pattern, shape, dtype)


def _check(runner: Runner, pattern: Pattern, shape: Shape, dtype: DType) -> Check:
    if runner.missing is not None:
        return Check(runner.name, shape, dtype, None, runner.missing)
    try:
        kernel = runner.kernel(Operands(dtype, shape.head_dim), shape)
    except NoCompiler as error:
        return Check(runner.name, shape, dtype, None, str(error))
    except AttnccError as error:
        return Check(runner.name, shape, dtype, None, str(error), failed=True)
    kind: DeviceKind = "cuda" if runner.name == "triton on the GPU" else "cpu"
    inputs = random_inputs(shape, dtype, kind, pattern=pattern)
    return Check(runner.name, shape, dtype, verify(kernel, inputs, oracle(pattern, inputs)))


def _runners(pattern: Pattern, library: Path) -> Iterator[Runner]:
    def on(hardware: DeviceModel) -> Callable[[Operands, Shape], CompiledKernel]:
        return lambda operands, shape: compiler.kernel(pattern, operands, shape, hardware, library=library)

    wide, narrow = shapes(pattern, heads=4, kv_heads=2), shapes(pattern, heads=2, kv_heads=1)
    yield Runner("cpu", wide, on(device.host()))
    no_triton = None if util.find_spec("triton") else "triton is not installed"
    yield Runner("triton, interpreted", narrow, lambda operands, shape: _emulated(pattern, operands, shape), no_triton)
    if torch.cuda.is_available():
        yield Runner("triton on the GPU", wide, on(calls.model_of(torch.device("cuda"))))
    else:
        yield Runner("triton on the GPU", wide[:1], on(device.host()), "PyTorch sees no GPU here")


def _emulated(pattern: Pattern, operands: Operands, shape: Shape) -> CompiledKernel:
    # Triton is optional, and loads slowly.
    from attncc.codegen.triton.interpret import interpreted

    hardware = device.named(EMULATED_TARGET)
    backend = compiler.backend_of(hardware)
    phase = backend.phase(shape, pattern.grain())
    schedule = backend.space(operands, phase, hardware, pattern.grain()).default()
    return interpreted(compiler.source(pattern, operands, phase, schedule, "triton"), settings.cache_dir())
