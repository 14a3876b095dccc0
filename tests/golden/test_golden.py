"""Do the emitters write, byte for byte, the files that people have read?"""

from __future__ import annotations

import pytest

from tests.golden.cases import CASES, ENDING, FOLDER, Golden, GoldenPlan


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path.name)
def test_generated_source_is_the_golden_file(case: Golden | GoldenPlan) -> None:
    assert case.text() == case.path.read_text(encoding="utf-8"), "if the change is meant: make golden, read the diff"


def test_every_golden_file_has_a_case() -> None:
    kept = {path for folder, ending in ENDING.items() for path in (FOLDER / folder).glob(f"*.{ending}")}
    assert kept == {case.path for case in CASES}
