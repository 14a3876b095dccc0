"""Are scores found where they lie, and their options read without running them?"""

from __future__ import annotations

import subprocess
import sys

from attncc.selectors import catalog
from tests.house.tree import ROOT

MINE = {"antidiagonal", "chunk_mean", "given", "landmark_key", "last_queries", "page_bound", "pooled"}


def test_scores_are_files_with_options() -> None:
    assert set(catalog.scores()) >= MINE
    assert not {"score", "choose", "catalog", "blocks"} & set(catalog.scores())


def test_literals_are_what_the_files_say() -> None:
    for name in catalog.scores():
        score = catalog.load(name)
        assert catalog.options(name) == score.OPTIONS
        assert (score.__doc__ or "").startswith(f"{name}: ")
        for option, values in catalog.choices(name).items():
            assert catalog.options(name)[option] in (None, *values)


def test_options_are_read_without_torch() -> None:
    program = """
import sys
sys.modules["torch"] = None
from attncc.selectors import catalog
assert catalog.options("last_queries") == {"queries": 64}
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
