"""What was a result made with? To be read beside it; nothing is decided by it."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from attncc.autotune import conditions
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
        *(_conditions() if device.kind == "cuda" and device.present else ()),
    )


def _conditions() -> tuple[tuple[str, str], ...]:
    found = conditions.read()
    return conditions.ABSENT if found is None else found.told()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"
