"""What was a result made with? To be read beside it; nothing is decided by it."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from attncc.device import DeviceModel
from attncc.version import VERSION


def made_with(device: DeviceModel) -> tuple[tuple[str, str], ...]:
    """Versions, the machine's name, and how busy it is."""
    return (
        ("attncc", VERSION),
        ("torch", _version("torch")),
        ("triton", _version("triton")),
        ("python", platform.python_version()),
        ("device", device.name),
        ("load", f"{os.getloadavg()[0]:.1f}"),
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"
