"""Cross-compiles a Gluon kernel for Hopper, says what it uses, and reads in which order it multiplies and weighs."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import CompiledKernel
from triton.experimental.gluon import language as gl
from triton.experimental.gluon._runtime import GluonASTSource

from attncc.codegen.kernel import KernelSource
from attncc.codegen.triton.arguments import kind
from attncc.codegen.triton.gluon.emit import PIECES, piece
from attncc.codegen.triton.gluon.registers import ROWS, registers
from attncc.codegen.triton.module import load
from attncc.settings import cache_dir

#: Warps of the first consumer; those of the other partitions come on top.
WARPS: Final = 4
#: What the assembler says where it lets products wait for each other: registers, calls, accumulators in use.
SERIALISED: Final = re.compile(r"C75\d\d")
TYPES: Final = {"float16": "fp16", "bfloat16": "bf16"}
#: In machine code: a product, a wait for products, an exponential.
LETTERS: Final = {"HGMMA": "H", "WARPGROUP.DEPBAR": "W", "MUFU.EX2": "x"}


class Serialised(RuntimeError):
    """The assembler makes products wait for each other."""


def compiled(source: KernelSource) -> tuple[CompiledKernel, str]:
    """The kernel for sm_90, and what the assembler said. Raises what the compilers raise, and Serialised."""
    function = getattr(load(source, cache_dir()), source.entry)
    log = io.StringIO()
    with _own_cache(), contextlib.redirect_stdout(log):
        typed = GluonASTSource(function, signature=signature(source, function.arg_names), constexprs={}, attrs={})
        kernel = triton.compile(typed, target=GPUTarget("cuda", 90, 32), options=options(source))
    found = SERIALISED.search(log.getvalue())
    if found is not None:
        raise Serialised(f"ptxas {found[0]}: the products of a warpgroup wait for each other")
    return kernel, log.getvalue()


def options(source: KernelSource) -> dict[str, int | bool]:
    """What the compiler is told besides the source."""
    most = registers(source.schedule, piece(source) is not None).most
    return {"num_warps": WARPS, "enable_fp_fusion": True, **({} if most is None else {"maxnreg": most})}


def layout() -> gl.NVMMASharedLayout:
    """How rows of 128 bytes and more lie in shared memory."""
    return gl.NVMMASharedLayout(128, 16, 4)


def signature(source: KernelSource, names: Sequence[str]) -> dict[str, str]:
    """The type of each argument, as Triton writes it."""
    return {name: _type(source, name) for name in names}


def order(cubin: bytes) -> str:
    """Products (H), waits for them (W and how many may be left) and exponentials (x) in the order of the machine code,
    runs of one kind written once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        command = [triton.knobs.nvidia.nvdisasm.path, "-c", str(path)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.sub(r"(H|x)\1+", r"\1", "".join(_letters(text)))


def _letters(text: str) -> Iterator[str]:
    for line in text.splitlines():
        found = re.search(r"\b(HGMMA|MUFU\.EX2|WARPGROUP\.DEPBAR)\b(?:.*gsb0, 0x(\d))?", line)
        if found is not None:
            yield LETTERS[found[1]] + (found[2] or "")


def _type(source: KernelSource, argument: str) -> str:
    if argument.endswith("_desc"):
        pieces = piece(source) if argument in PIECES else None
        rows = ROWS if argument in ("query_desc", "out_desc") else pieces or source.schedule.number("BLOCK_N")
        return f"tensordesc<{TYPES[source.operands.dtype]}[1, 1, {rows}, {source.operands.head_dim}],{layout()!r}>"
    match kind(argument):
        case "float32":
            return "*fp32"
        case "int32":
            return "*i32"
        case "int64":
            return "*i64"
        case "scale":
            return "fp32"
        case _:
            return "i32"


@contextlib.contextmanager
def _own_cache() -> Iterator[None]:
    """A cache of this compilation's own: the assembler speaks only when it really runs."""
    with tempfile.TemporaryDirectory() as folder, triton.knobs.cache.scope(), triton.knobs.nvidia.scope():
        triton.knobs.cache.dir = folder
        triton.knobs.nvidia.dump_ptxas_log = True
        yield
