"""The format `aot`: the package, modules that AOTInductor compiled, and cubins for the GPUs that were named."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from attncc.errors import AheadFailed
from attncc.export import package, readme
from attncc.export.kernels import written
from attncc.export.request import CPU, Request, devices
from attncc.export.writing import write

#: Where a process says what went wrong, behind the way it took there; and how much of that is enough to know.
MISTAKE = re.compile(r"^[\w.]+(?:Error|Exception): ", re.M)
WORDS = 2000


def files(request: Request) -> Mapping[str, str | bytes]:
    """The content of every file, by its path in the directory that is written. Raises AheadFailed and NotCompilable.

    Modules are compiled for the CPU of this machine, whatever was named, and for its GPU, if it has one.
    """
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise AheadFailed(f"no C++ compiler found (tried {compiler}); install g++, or name one in $CXX")
    # Only this format needs Triton.
    from attncc.export import cubins

    whole = replace(request, devices=tuple(dict.fromkeys((*devices([CPU]), *request.devices))))
    kernels = written(whole)
    project = package.project(whole, kernels)
    machine = {f"cubins/{path}": content for path, content in cubins.files(kernels, request.named).items()}
    modules = _modules(whole, project)
    return {**project, "README.md": readme.aot(whole, kernels), **machine, **modules}


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
            raise AheadFailed(_said(run.stderr))
        return {f"modules/{file.name}": file.read_bytes() for file in sorted(out.iterdir())}


def _said(words: str) -> str:
    last = max((match.start() for match in MISTAKE.finditer(words)), default=0)
    return words[last:].strip()[:WORDS]
