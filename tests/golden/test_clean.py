"""Do the golden files pass the tools that their readers use: clang-format and the compiler's warnings, ruff?"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden.cases import CASES, FOLDER

C_FILES = [case.path for case in CASES if case.path.suffix == ".c"]
PYTHON_FILES = [case.path for case in CASES if case.path.suffix == ".py"]


def said(*command: str) -> str:
    """What the command complains of; nothing when it is content."""
    done = subprocess.run(command, cwd=FOLDER.parents[1], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("path", C_FILES, ids=lambda path: path.name)
def test_c_is_formatted(path: Path) -> None:
    clang_format = Path(sys.executable).with_name("clang-format")
    assert not said(str(clang_format), "--dry-run", "--Werror", str(path))


@pytest.mark.parametrize("path", C_FILES, ids=lambda path: path.name)
def test_c_compiles_without_a_warning(path: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc here")
    flags = re.findall(r'#error "compile with (.*)"', path.read_text(encoding="utf-8"))[0].split()
    strict = ["-std=gnu11", "-O1", "-fopenmp", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    assert not said(compiler, *strict, *flags, str(path))


def test_python_is_clean() -> None:
    assert not said(sys.executable, "-m", "ruff", "check", *map(str, PYTHON_FILES))
