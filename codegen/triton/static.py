"""Cross-compiles a kernel for a GPU that need not be present, and says what it would use there."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import assert_never

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.compiler.errors import CompilationError
from triton.errors import TritonError

from attncc.codegen.kernel import KernelSource
from attncc.codegen.triton.arguments import Wanted, kind
from attncc.codegen.triton.launch import options
from attncc.codegen.triton.module import keep, load
from attncc.codegen.triton.toolchain import toolchain
from attncc.codegen.triton.usage import Resources, read_amd, read_nvidia
from attncc.device import DeviceModel
from attncc.settings import cache_dir

__all__ = ["Resources", "Unbuildable", "aligned_of", "compiled", "read", "resources", "signature"]

TYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}


@dataclass(frozen=True, slots=True)
class Unbuildable:
    """Why there is no kernel, in the compiler's words."""

    reason: str


def resources(source: KernelSource, device: DeviceModel) -> Resources | Unbuildable:
    """What `source` would use on `device`: a second or two, then remembered in the cache directory."""
    path = cache_dir() / f"resources_{_key(source, device)}.json"
    known = _remembered(path)
    if known is not None:
        return known
    log = io.StringIO()
    kernel = compiled(source, device, log)
    if isinstance(kernel, Unbuildable):
        return kernel
    found = read(kernel, device, log.getvalue())
    keep(path, json.dumps(asdict(found)))
    return found


def _key(source: KernelSource, device: DeviceModel) -> str:
    parts = (source.text, str(source.schedule), toolchain(device))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _remembered(path: Path) -> Resources | None:
    """What an earlier compilation found; None where there was none, or its file cannot be read."""
    try:
        return Resources(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def compiled(
    source: KernelSource, device: DeviceModel, log: io.StringIO
) -> triton.compiler.CompiledKernel | Unbuildable:
    """The kernel for aligned pointers and strides, and in `log` what the assembler says of it."""
    if source.backend == "gluon":
        return _lowered(source, log)
    function = getattr(load(source, cache_dir()), source.entry)
    try:
        with _own_cache(), contextlib.redirect_stdout(log):
            typed = _typed(source, function)
            return triton.compile(typed, target=_target(device), options=dict(options(source.schedule)))
    except (TritonError, RuntimeError, ValueError) as error:
        return Unbuildable(_sentence(error))


def read(kernel: triton.compiler.CompiledKernel, device: DeviceModel, log: str) -> Resources:
    """What a compiled kernel uses."""
    return read_amd(kernel) if device.kind == "hip" else read_nvidia(kernel, log)


def _lowered(source: KernelSource, log: io.StringIO) -> triton.compiler.CompiledKernel | Unbuildable:
    # What lies below Triton is experimental, and loaded only where it is asked for.
    from attncc.codegen.triton.gluon.static import compiled as lowered

    try:
        kernel, said = lowered(source)
    except (TritonError, RuntimeError, ValueError) as error:
        return Unbuildable(_sentence(error))
    log.write(said)
    return kernel


def _typed(source: KernelSource, function: triton.JITFunction) -> ASTSource:
    """The function for aligned pointers and strides, which is what a call nearly always has."""
    names = function.arg_names
    types = signature(source, names)
    aligned = {(at,): [["tt.divisibility", 16]] for at, name in enumerate(names) if name in aligned_of(names)}
    return ASTSource(function, signature=types, constexprs={}, attrs=aligned)


def signature(source: KernelSource, names: Sequence[str]) -> dict[str, str]:
    """The type of each argument, as Triton writes it."""
    return {name: _type(name, TYPES[source.operands.dtype]) for name in names}


def aligned_of(names: Sequence[str]) -> tuple[str, ...]:
    """The arguments that the compiler takes to be multiples of 16: addresses in bytes, strides in elements."""
    sizes = Wanted.of(names).sizes()
    return tuple(name for name in names if name.endswith(("_ptr", "_stride")) and name not in sizes)


def _type(argument: str, element: str) -> str:
    match kind(argument):
        case "element":
            return f"*{element}"
        case "float32":
            return "*fp32"
        case "int32":
            return "*i32"
        case "int64":
            return "*i64"
        case "size":
            return "i32"
        case "scale":
            return "fp32"
        case unknown:
            assert_never(unknown)


def _target(device: DeviceModel) -> GPUTarget:
    if device.kind == "hip":
        return GPUTarget("hip", device.arch, 64)
    return GPUTarget("cuda", int(device.arch.removeprefix("sm_")), 32)


@contextlib.contextmanager
def _own_cache() -> Iterator[None]:
    """A cache of this compilation's own: the assembler speaks only when it really runs."""
    with tempfile.TemporaryDirectory() as folder, triton.knobs.cache.scope(), triton.knobs.nvidia.scope():
        triton.knobs.cache.dir = folder
        triton.knobs.nvidia.dump_ptxas_log = True
        yield


def _sentence(error: Exception) -> str:
    """One line of what the compiler said: Triton's front end shows the place first and says what is wrong last."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1] if isinstance(error, CompilationError) else lines[0]
