"""Are the outcomes of tests on a GPU told, the bad ones by name?"""

from __future__ import annotations

from pathlib import Path

import pytest

from attncc.errors import BenchFileUnreadable
from attncc.report.markdown import markdown
from attncc.report.tested import TESTS, section

LINES = (
    '{"test": "a", "outcome": "begun", "seconds": 0.0, "said": ""}',
    '{"test": "a", "outcome": "passed", "seconds": 0.5, "said": ""}',
    '{"test": "b", "outcome": "hung", "seconds": 180, "said": "no end after 180 s"}',
)


def test_the_last_outcome_is_told(tmp_path: Path) -> None:
    assert not list(section(tmp_path))
    (tmp_path / TESTS).write_text("\n".join(LINES) + "\n", encoding="utf-8")
    text = markdown(tuple(section(tmp_path)))
    assert "1 passed, 1 hung." in text
    assert "no end after 180 s" in text


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / TESTS).write_text('{"test": "a"}\n', encoding="utf-8")
    with pytest.raises(BenchFileUnreadable):
        list(section(tmp_path))
