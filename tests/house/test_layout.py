"""Is every folder where the architecture says, under one import name, and part of what is packaged?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib

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


def test_ci_is_a_program() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_constraints_cover_the_requirements() -> None:
    """Every dependency of the extras that the Makefile installs has a tested version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = {name_of(line) for line in [*project["dependencies"], *extras["dev"], *extras["report"]]}
    pinned = {
        name_of(line) for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line
    }
    assert wanted <= pinned


def name_of(requirement: str) -> str:
    """The normalised name: `types-PyYAML>=6; ...` is types-pyyaml."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")
