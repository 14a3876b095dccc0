"""Is every folder where the architecture says, under one import name, and part of what is packaged?"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from setuptools import find_packages

from tests.house.tree import LINKED, ROOT, module_name, modules


@pytest.mark.parametrize("name", LINKED)
def test_linked_folders_are_relative_links(name: str) -> None:
    link = ROOT / "attncc" / name
    assert link.is_symlink(), f"attncc/{name} must be a link; was the checkout copied without links?"
    assert os.readlink(link) == f"../{name}"


@pytest.mark.parametrize("name", LINKED)
def test_links_are_committed_as_links(name: str) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-s", f"attncc/{name}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    assert listed.stdout.startswith("120000 "), listed.stdout


@pytest.mark.parametrize("name", LINKED)
def test_bare_names_are_refused(name: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert run.stderr.strip().endswith(f"import attncc.{name}")


def test_packages_are_the_folders() -> None:
    folders = {module_name(path.parent / "__init__.py") for path in modules()}
    assert set(find_packages(str(ROOT), include=["attncc", "attncc.*"])) == folders


def test_every_folder_has_python() -> None:
    """An empty folder of the house is a promise nobody kept; git does not carry it either."""
    empty = [path for path in (ROOT / "attncc").iterdir() if path.is_dir() and not any(path.glob("**/*.*"))]
    tracked = [path for path in empty if path.name != "__pycache__" and any(path.iterdir())]
    assert not tracked
