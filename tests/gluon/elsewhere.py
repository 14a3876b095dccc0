"""Compiles Gluon modules under another Triton, as a program of its own, which needs nothing else."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import io
import json
import sys
import tempfile
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.experimental.gluon._runtime import GluonASTSource


def compiled(text: str, entry: str, types: dict[str, str], options: dict[str, int]) -> dict[str, str]:
    """The version, the machine code and what the assembler said."""
    log = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generated.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location("generated", path)
        assert spec is not None, "a .py file has a loader"
        assert spec.loader is not None, "a .py file has a loader"
        module = importlib.util.module_from_spec(spec)
        sys.modules["generated"] = module
        spec.loader.exec_module(module)
        triton.knobs.cache.dir = folder
        triton.knobs.nvidia.dump_ptxas_log = True
        with contextlib.redirect_stdout(log):
            typed = GluonASTSource(getattr(module, entry), signature=types, constexprs={}, attrs={})
            kernel = triton.compile(typed, target=GPUTarget("cuda", 90, 32), options=options)
    cubin = base64.b64encode(kernel.asm["cubin"]).decode()
    return {"version": triton.__version__, "log": log.getvalue(), "cubin": cubin}


if __name__ == "__main__":
    json.dump([compiled(**wanted) for wanted in json.load(sys.stdin)], sys.stdout)
