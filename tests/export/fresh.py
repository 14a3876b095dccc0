"""An environment of its own that holds PyTorch, Triton and little else: whoever is given an export has no attncc."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Fresh:
    """`python` runs in it; `packages` is where it imports from."""

    python: Path
    packages: Path

    def run(self, script: str, *arguments: str, cwd: Path, **variables: str) -> str:
        """What a script prints. Fails with its last words."""
        command = [str(self.python), "-I", "-c", script, *arguments]
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "ATTNCC_CACHE") if name in os.environ}
        environment = {**kept, "OMP_NUM_THREADS": "1", **variables}
        found = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr[-4000:]
        return found.stdout


def made(folder: Path, *distributions: str) -> Fresh:
    """Python with these distributions and what they need, linked instead of copied."""
    venv.create(folder, symlinks=True, with_pip=False)
    packages = next(folder.glob("lib/python*/site-packages"))
    for path in sorted({top for name in _needed(distributions) for top in _tops(name)}):
        (packages / path.name).symlink_to(path)
    return Fresh(folder / "bin" / Path(sys.executable).name, packages)


def _needed(names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    ahead = list(names)
    while ahead:
        name = ahead.pop()
        known = _distribution(name)
        if known is not None and name not in found:
            found.add(name)
            ahead.extend(_requirement(line) for line in known.requires or [] if "extra ==" not in line)
    return found


def _requirement(line: str) -> str:
    return re.split(r"[^\w.-]", line, maxsplit=1)[0].lower().replace("_", "-")


def _distribution(name: str) -> metadata.Distribution | None:
    """What another system needs is not installed here."""
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def _tops(name: str) -> set[Path]:
    """The files and folders of a distribution that lie directly among the packages."""
    known = _distribution(name)
    assert known is not None, f"{name} is installed"
    firsts = {file.parts[0] for file in known.files or []} - {"..", "__pycache__"}
    return {Path(str(known.locate_file(first))) for first in firsts}
