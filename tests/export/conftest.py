"""Exports that several tests look at, and environments without attncc to load them in."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from attncc import device
from attncc.ir.schedule import Shape
from attncc.library.entry import LibraryEntry
from attncc.library.store import KernelLibrary
from tests.cli.run import attncc
from tests.export.fresh import Fresh, made
from tests.library.real import real

#: A mask of positions, and one that chooses keys by an input.
CHANGED = {"top": 64, "local": 24}
PATTERNS = ("a_shape", "locret", *(word for name, value in CHANGED.items() for word in ("--set", f"{name}={value}")))
FEW = ("--target", "cpu", "--target", "H100", "--dtype", "float32", "--head-dim", "32")
#: The call that the library knows a schedule for.
TUNED = Shape(2, 4, 2, 150, 300, 32)
WHEEL = "from setuptools.build_meta import build_wheel; import sys; build_wheel(sys.argv[1])"


@pytest.fixture(scope="session")
def entry() -> LibraryEntry:
    """A decision for a_shape on this CPU, other than the built-in schedule."""
    return real("a_shape", TUNED, device.host())


@pytest.fixture(scope="session")
def library(entry: LibraryEntry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that holds it."""
    folder = tmp_path_factory.mktemp("library") / "kernels"
    with KernelLibrary(folder) as store:
        store.put(entry)
    return folder


@pytest.fixture(scope="session")
def package(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export `ours` of PATTERNS in the format `package`."""
    out = tmp_path_factory.mktemp("exported") / "package"
    found = attncc("export", *PATTERNS, "--out", str(out), "--name", "ours", "--library", str(library), *FEW)
    assert found.status == 0, found.err
    return out


@pytest.fixture(scope="session")
def fresh(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """An environment in which the wheel of `package` is installed, and attncc is not."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-c", WHEEL, str(folder)], cwd=package, check=True, capture_output=True)
    environment = made(folder / "environment", "torch", "triton", "numpy", "pytest")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(environment.packages)
    return environment
