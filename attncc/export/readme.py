"""What the README of an export says: what it holds, how it is called, what it needs, where it is from."""

from __future__ import annotations

from collections.abc import Sequence

from attncc.export.kernels import Written
from attncc.export.request import Request
from attncc.ir.pattern import Pattern
from attncc.version import VERSION

CALL = """\
```python
import torch
{imports}

query = torch.randn(1, 8, 1024, {head_dim}, dtype=torch.{dtype})
key, value = (torch.randn(1, 2, 1024, {head_dim}, dtype=torch.{dtype}) for _ in range(2))
{call}
```
"""

NEEDS = """\
On a GPU, Triton compiles a kernel at its first call. On a CPU the system's C compiler does (`$CC`, cc, gcc or clang),
into a directory that only you may write to (`$ATTNCC_CACHE`, else `attncc/kernels` in your cache); without a compiler,
PyTorch's own operators compute the same, slowly, and a warning says so once. Gradients are computed by PyTorch's
operators, block of rows by block of rows. Other element types and head dimensions than those below are refused.
"""

AHEAD = """\
## Compiled ahead of time

`modules/<pattern>_<dtype>_<head_dim>_<device>.pt2` are modules that AOTInductor compiled: query, key, value and the
inputs of the pattern give (out, lse), for any batch, heads and lengths. They call the operators of the package, which
must be imported first; `python -m {name}.ahead DIRECTORY` writes them again, on a machine with a GPU for that too.

```python
import torch
import {name}

attend = torch._inductor.aoti_load_package("modules/{module}_cpu.pt2")
out, lse = attend(query, key, value)
```

`cubins/<arch>/` holds machine code for the NVIDIA GPUs that were named, if any, to be launched without Triton or
Python. Its `manifest.json` says for each kernel which calls it is for, its arguments in their order with their types,
what is taken for granted of them, the grid, the block, shared memory and scratch memory, and the hashes of everything.
"""


def package(request: Request, kernels: Sequence[Written]) -> str:
    """The README of an installable package."""
    imports = f"from {request.name} import {', '.join(one.name for one in request.patterns)}"
    return "\n".join(
        [
            f"# {request.name}\n",
            f"Sparse attention kernels, written by attncc {VERSION}. `pip install .` needs PyTorch and Triton only.\n",
            _call(request, imports, ""),
            NEEDS,
            contents(request, kernels),
            "`python -m pytest tests` compares every kernel that runs here with a float64 reference. `PROVENANCE.json`",
            "holds the pattern files and the decisions that tuned schedules are from. Apache-2.0, see LICENSE.\n",
        ]
    )


def aot(request: Request, kernels: Sequence[Written]) -> str:
    """The README of a package with what was compiled ahead of time."""
    operands = request.operands[0]
    module = f"{request.patterns[0].name}_{operands.dtype}_{operands.head_dim}"
    return f"{package(request, kernels)}\n{AHEAD.format(name=request.name, module=module)}"


def hub(request: Request, kernels: Sequence[Written], id: str) -> str:
    """The README of a kernel for the Hugging Face `kernels` library."""
    imports = f'from kernels import get_kernel\n\nkernels = get_kernel("<owner>/{id}")'
    front = "---\nlibrary_name: kernels\nlicense: apache-2.0\ntags:\n- kernel\n- attention\n---\n"
    return "\n".join(
        [
            front,
            f"# {id}\n",
            f"Sparse attention kernels, written by attncc {VERSION}, for the `kernels` library.\n",
            _call(request, imports, "kernels."),
            NEEDS,
            contents(request, kernels),
            "`get_local_kernel(Path(<this directory>))` loads it without the Hub. `PROVENANCE.json` holds the pattern",
            "files and the decisions that tuned schedules are from. Python 3.11 or later. Apache-2.0, see LICENSE.\n",
        ]
    )


def contents(request: Request, kernels: Sequence[Written]) -> str:
    """What is in the package: patterns, element types, hardware."""
    operands = ", ".join(dict.fromkeys(f"{one.dtype} with head_dim {one.head_dim}" for one in request.operands))
    tuned = sorted({one.held.hardware for one in kernels if one.held.hardware})
    schedules = f"tuned on {', '.join(tuned)}; built-in ones elsewhere" if tuned else "built-in ones"
    devices = ", ".join(dict.fromkeys(one.arch for one in request.devices))
    lines = [f"| `{one.name}` | {_cell(one)} | {_plain(one.source)} |" for one in request.patterns]
    return "\n".join(
        [
            "| pattern | what a query sees | source |",
            "| --- | --- | --- |",
            *lines,
            "",
            f"- Operands: {operands}.",
            f"- Instruction sets: {devices}; a device that is not among them gets the kernels of a poorer one.",
            f"- Schedules: {schedules}.",
            "",
        ]
    )


def _call(request: Request, imports: str, owner: str) -> str:
    operands = request.operands[0]
    pattern = next((one for one in request.patterns if not one.inputs), request.patterns[0])
    inputs = "".join(f", {one.name}={one.name}" for one in pattern.inputs)
    call = f"out = {owner}{pattern.name}(query, key, value{inputs})"
    return CALL.format(imports=imports, head_dim=operands.head_dim, dtype=operands.dtype, call=call)


def _cell(pattern: Pattern) -> str:
    params = ", ".join(f"{name} = {value}" for name, value in pattern.params)
    return _plain(f"{pattern.about} {f'With {params}.' if params else ''}")


def _plain(words: str) -> str:
    """Words of a pattern file in one cell of a table."""
    return " ".join(words.split()).replace("|", "\\|")
