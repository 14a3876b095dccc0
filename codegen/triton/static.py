"""Cross-compiles a kernel for a GPU that need not be present, and reads what it would use there."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, CompiledKernel
from triton.compiler.errors import CompilationError
from triton.errors import TritonError

from attncc.codegen.kernel import KernelSource
from attncc.codegen.triton.launch import options
from attncc.codegen.triton.module import load
from attncc.device import DeviceModel
from attncc.errors import CompilationFailed
from attncc.settings import cache_dir

TYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}

#: What to look for in PTX and in AMD assembly.
INSTRUCTIONS: Mapping[str, str] = {
    "wgmma": r"\bwgmma\.mma_async",
    "tcgen05": r"\btcgen05\.mma",
    "mma": r"(?<!wg)\bmma\.sync",
    "tma": r"\bcp\.async\.bulk\.tensor",
    "cp.async": r"\bcp\.async\.c[ag]\.",
    "mfma": r"\bv_mfma_",
}


@dataclass(frozen=True, slots=True)
class Resources:
    """What one program uses. `spill_bytes` are stores to spilled registers (NVIDIA) or scratch (AMD); `instructions`
    counts those of INSTRUCTIONS that occur; `assembly` is PTX or AMD assembly."""

    registers: int
    spill_bytes: int
    shared_bytes: int
    instructions: Mapping[str, int]
    assembly: str


@dataclass(frozen=True, slots=True)
class Unbuildable:
    """Why there is no kernel, in the compiler's words."""

    reason: str


def assembly(source: KernelSource, device: DeviceModel) -> str:
    """PTX, or AMD assembly, of `source` for `device`; raises CompilationFailed."""
    found = resources(source, device)
    if isinstance(found, Unbuildable):
        raise CompilationFailed(source.pattern, f"triton {triton.__version__}", found.reason)
    return found.assembly


def resources(source: KernelSource, device: DeviceModel) -> Resources | Unbuildable:
    """What `source` would use on `device`; takes about a second."""
    function = getattr(load(source, cache_dir()), source.entry)
    log = io.StringIO()
    try:
        with _own_cache(), contextlib.redirect_stdout(log):
            kernel = triton.compile(
                _typed(source, function), target=_target(device), options=dict(options(source.schedule))
            )
    except (TritonError, RuntimeError, ValueError) as error:
        return Unbuildable(_sentence(error))
    return _read_amd(kernel) if device.kind == "hip" else _read_nvidia(kernel, log.getvalue())


def _typed(source: KernelSource, function: triton.JITFunction) -> ASTSource:
    """The function for aligned pointers and strides, which is what a call nearly always has."""
    names = function.arg_names
    element = TYPES[source.operands.dtype]
    types = {name: _type(name, element) for name in names}
    aligned = {(at,): [["tt.divisibility", 16]] for at, name in enumerate(names) if name.endswith(("_ptr", "_stride"))}
    return ASTSource(function, signature=types, constexprs={}, attrs=aligned)


def _type(argument: str, element: str) -> str:
    if argument in ("lse_ptr", "slope_ptr"):
        return "*fp32"
    if argument.endswith("_ptr"):
        return f"*{element}"
    return "fp32" if argument == "scale" else "i32"


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


def _read_nvidia(kernel: CompiledKernel, log: str) -> Resources:
    registers = re.search(r"Used (\d+) registers", log)
    spills = re.search(r"(\d+) bytes spill stores", log)
    assert registers is not None, "ptxas -v tells the registers"
    spill_bytes = int(spills[1]) if spills else 0
    ptx = kernel.asm["ptx"]
    return Resources(int(registers[1]), spill_bytes, kernel.metadata.shared, _instructions(ptx), ptx)


def _read_amd(kernel: CompiledKernel) -> Resources:
    text = kernel.asm["amdgcn"]
    registers = _field(text, "vgpr_count")
    return Resources(
        registers, _field(text, "private_segment_fixed_size"), kernel.metadata.shared, _instructions(text), text
    )


def _field(text: str, name: str) -> int:
    found = re.search(rf"\.{name}:?\s+(\d+)", text)
    assert found is not None, f"AMD assembly tells {name}"
    return int(found[1])


def _instructions(text: str) -> Mapping[str, int]:
    counts = {name: len(re.findall(pattern, text)) for name, pattern in INSTRUCTIONS.items()}
    return {name: count for name, count in counts.items() if count}


def _sentence(error: Exception) -> str:
    """One line of what the compiler said: Triton's front end shows the place first and says what is wrong last."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1] if isinstance(error, CompilationError) else lines[0]
