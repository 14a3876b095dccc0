"""Is every wrong file refused with all of its mistakes, each at its place? (`python -m tests.spec.wrong_files`)"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.wrong_files import FILES, said


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_says_what_is_written_beside_it(file: Path) -> None:
    assert said(file) == file.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_underlines_the_place_it_names(file: Path) -> None:
    lines = said(file).splitlines()
    for heading, shown, marked in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        name, line, column = heading.split(":")[:3]
        source = file.read_text(encoding="utf-8").splitlines()[int(line) - 1]
        begin, end = marked.index("^"), len(marked)
        place = source[int(column) - 1 :].replace("\t", " ")
        assert name == file.name
        assert not shown[begin:end] or place.startswith(shown[begin:end])
