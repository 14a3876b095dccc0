"""What turns a Triton module into machine code, as far as it can change the code."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from importlib import metadata, util
from pathlib import Path

from attncc.device import DeviceModel

#: Triton's own assemblers, the one for architectures from 100 on behind the other; each has a variable that names
#: another in its place.
ASSEMBLERS = ("ptxas", "ptxas-blackwell")
VARIABLES = {"ptxas": "TRITON_PTXAS_PATH", "ptxas-blackwell": "TRITON_PTXAS_BLACKWELL_PATH"}
BLACKWELL = 100
#: An assembler says its version at once, or it is none.
PATIENCE_SECONDS = 20


def toolchain(device: DeviceModel) -> str:
    """Triton's version, the target, and on NVIDIA the version of the assembler; imports nothing."""
    try:
        version = metadata.version("triton")
    except metadata.PackageNotFoundError:
        version = "not installed"
    found = assembler(device) if device.kind == "cuda" else None
    return f"triton {version}, {device.arch}" + (f", ptxas {_version(found)}" if found else "")


def assembler(device: DeviceModel) -> str | None:
    """The path of the assembler that Triton runs for `device`; None without one."""
    folder = _folder()
    names = [name for name in ASSEMBLERS if folder is not None and (folder / name).exists()]
    name = ASSEMBLERS[1] if ASSEMBLERS[1] in names and int(device.arch[3:]) >= BLACKWELL else ASSEMBLERS[0]
    own = os.environ.get(VARIABLES[name])
    return own or (str(folder / name) if folder is not None and name in names else None)


def _folder() -> Path | None:
    """Where Triton keeps its assemblers."""
    found = util.find_spec("triton")
    return Path(found.origin).parent / "backends" / "nvidia" / "bin" if found and found.origin else None


@cache
def _version(path: str) -> str:
    """What the assembler says of itself, `12.8.93`; of one that says nothing, where it lies."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return path
    number = re.search(r"\bV(\d+(?:\.\d+)+)", said.stdout)
    return number[1] if number else path
