"""Everything about the machine that can change a time, so that two reports can be told apart."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from importlib import metadata, util

from attncc import device
from attncc.codegen.cpu.toolchain import compiler
from attncc.cpuinfo import processor
from attncc.errors import NoCompiler
from attncc.version import VERSION

PACKAGES = ("torch", "triton", "numpy", "islpy")
#: What says how it was at that moment, not what it is.
PASSING = ("load average", "load")


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


def fingerprint(found: Sequence[tuple[str, str]]) -> str:
    """Twelve hex digits of everything that stays the same between two runs on one set-up: the load is left out."""
    lasting = sorted((name, value) for name, value in found if name not in PASSING)
    return hashlib.sha256(json.dumps(lasting).encode()).hexdigest()[:12]


def compiler_version() -> str | None:
    """What the C compiler that kernels are built with says of itself; None without one."""
    try:
        return compiler().version
    except NoCompiler:
        return None


def package_version(package: str) -> str | None:
    """The installed version; None if the package cannot be imported."""
    if util.find_spec(package) is None:
        return None
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown version"
