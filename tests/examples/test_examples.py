"""Do the examples run, as they stand, to their own checks at the end?"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import cast

import pytest

from tests.house.tree import ROOT

pytest.importorskip("transformers")

EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))

#: What an example is run with, where its own defaults take longer than a test should, and what it must have said.
ARGUMENTS: dict[str, tuple[int, ...]] = {"long_prompt": (768,)}
SAID = {
    "find_plan": "{layers: 0..1, heads: 1, prefill: a_shape_16_64}",
    "long_prompt": "attncc, duo_attention",
    "own_pattern": "tuned: ",
    "train_documents": "step 3: ",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = importlib.util.spec_from_file_location(f"examples.{name}", ROOT / "examples" / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    cast(Callable[..., None], module.main)(*ARGUMENTS.get(name, ()))
    assert SAID[name] in capsys.readouterr().out
