"""Does attncc work installed from its wheel and its sdist, away from the checkout?"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.house.tree import ROOT, package_files

FIRST_CALL = """
import attncc, torch
query, key, value = (torch.randn(1, 2, 40, 16) for _ in range(3))
pattern = attncc.Pattern.load("sliding_window", window=8)
out = attncc.attention(query, key, value, pattern)
error = (out - attncc.reference(query, key, value, pattern)).abs().max().item()
print(attncc.__file__, error < 1e-5)
"""


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of this checkout and the wheel built from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)], folder)
    return folder


@pytest.fixture(scope="module")
def installed(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel; its dependencies are borrowed from the one that runs the tests."""
    home = tmp_path_factory.mktemp("installed")
    run([sys.executable, "-m", "venv", "--without-pip", str(home)], home)
    wheel = next(archives.glob("*.whl"))
    python = str(home / "bin" / "python")
    run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", str(wheel)],
        home,
    )
    site = next(home.glob("lib/python*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return home


def run(command: list[str], where: Path) -> str:
    """Runs a command outside the checkout and returns what it printed."""
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(command, cwd=where, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def packaged() -> set[str]:
    """What the archives must hold, as paths inside them: everything under `attncc/`."""
    return {str(path.relative_to(ROOT)) for path in package_files()}


def test_wheel_holds_the_package_and_nothing_else(archives: Path) -> None:
    with zipfile.ZipFile(next(archives.glob("*.whl"))) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == packaged()


def test_sdist_holds_the_package(archives: Path) -> None:
    with tarfile.open(next(archives.glob("*.tar.gz"))) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    assert packaged() | {"pyproject.toml", "README.md", "LICENSE"} <= held


def test_command_works_away_from_the_checkout(installed: Path) -> None:
    printed = run([str(installed / "bin" / "attncc"), "show", "causal", "--stage", "plan"], installed)
    assert "[0, q_first + 1): full" in printed


def test_first_call_works_away_from_the_checkout(installed: Path) -> None:
    where, agrees = run([str(installed / "bin" / "python"), "-c", FIRST_CALL], installed).split()
    assert str(installed) in where
    assert agrees == "True"
