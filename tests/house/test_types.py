"""Does the type checker see every file, also through the links?"""

from __future__ import annotations

import re
import subprocess
import sys

from tests.house.tree import ROOT, modules


def test_mypy_checks_every_file() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "-p", "attncc"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout[-4000:]
    checked = re.search(r"no issues found in (\d+) source files", run.stdout)
    assert checked, run.stdout
    assert int(checked[1]) >= len(modules())
