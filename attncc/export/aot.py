"""The format `aot`: the package, modules that AOTInductor compiled, and cubins for the GPUs that were named."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from attncc.errors import AheadFailed
from attncc.export import package
from attncc.export.kernels import written
from attncc.export.request import CPU, Request, devices
from attncc.export.writing import write

#: The last lines of what a compiler says are enough to tell what is wrong.
WORDS = 2000


def files(request: Request) -> Mapping[str, str | bytes]:
    """The content of every file, by its path in the directory that is written. Raises AheadFailed and NotCompilable.

    Modules are compiled for the CPU of this machine, whatever was named, and for its GPU, if it has one.
    """
    # Only this format needs Triton.
    from attncc.export import cubins

    whole = replace(request, devices=tuple(dict.fromkeys((*devices([CPU]), *request.devices))))
    kernels = written(whole)
    project = package.project(whole, kernels)
    named = [one for one in request.devices if one.kind == "cuda"]
    machine = {f"cubins/{path}": content for path, content in cubins.files(kernels, named).items()}
    return {**project, **machine, **_modules(whole, project)}


def _modules(request: Request, project: Mapping[str, str]) -> Mapping[str, bytes]:
    """The compiled modules: written by the package itself, in a process that knows nothing but it."""
    with tempfile.TemporaryDirectory() as scratch:
        home, out = Path(scratch, "package"), Path(scratch, "modules")
        write(home, project)
        out.mkdir()
        command = [sys.executable, "-m", f"{request.name}.ahead", str(out)]
        environment = {**os.environ, "PYTHONPATH": str(home)}
        run = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise AheadFailed(run.stderr.strip()[-WORDS:])
        return {f"modules/{file.name}": file.read_bytes() for file in sorted(out.iterdir())}
