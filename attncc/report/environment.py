"""Everything about the machine that can change a time, so that two reports can be told apart."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib import metadata, util

from attncc import device
from attncc.cpuinfo import processor
from attncc.version import VERSION

PACKAGES = ("torch", "triton", "numpy", "islpy")


def environment() -> tuple[tuple[str, str], ...]:
    """(name, value) pairs, the same order every time; imports neither torch nor triton."""
    host = device.host()
    return (
        ("attncc", VERSION),
        ("CPU", processor().name),
        ("instruction set", host.arch),
        ("cores", str(host.units)),
        ("system", f"{platform.system()} {platform.release().split('-')[0]}"),
        ("Python", platform.python_version()),
        *((package, package_version(package) or "none") for package in PACKAGES),
        ("C compiler", compiler_version() or "none"),
        ("load average", f"{os.getloadavg()[0]:.2f}"),
    )


def compiler_version() -> str | None:
    """The first line of what the C compiler ($CC, cc, gcc or clang) says of itself; None without one."""
    names = (os.environ.get("CC"), "cc", "gcc", "clang")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        return None
    return subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def package_version(package: str) -> str | None:
    """The installed version; None if the package cannot be imported."""
    if util.find_spec(package) is None:
        return None
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown version"
