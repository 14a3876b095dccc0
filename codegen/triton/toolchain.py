"""What turns a Triton module into machine code, as far as it can change the code."""

from __future__ import annotations

import os
from importlib import metadata

from attncc.device import DeviceModel

#: Names another assembler than the one that Triton brings.
ASSEMBLER = "TRITON_PTXAS_PATH"


def toolchain(device: DeviceModel) -> str:
    """Triton's version, the target, and the assembler where it is not Triton's own; imports nothing."""
    try:
        version = metadata.version("triton")
    except metadata.PackageNotFoundError:
        version = "not installed"
    own = os.environ.get(ASSEMBLER)
    return f"triton {version}, {device.arch}" + (f", ptxas {own}" if own else "")
