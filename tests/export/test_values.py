"""Are values of the IR the same once they have been source?"""

from __future__ import annotations

import importlib

import pytest

from attncc import passes
from attncc.export.runtime.carried import Carried
from attncc.export.values import WIDTH, classes, written
from attncc.ir.pattern import Pattern
from attncc.spec import load, lower


def again(text: str, value: object) -> object:
    """What `text` makes, with the classes that it speaks of."""
    scope = {name: getattr(importlib.import_module(module), name) for module, name in classes(value)}
    return eval(text, scope)


@pytest.mark.parametrize("name", load.shipped())
def test_a_pattern_comes_back(name: str) -> None:
    pattern = lower.lower(load.find(name))
    carried = (Carried(pattern, passes.lists(pattern), passes.needs_lists(pattern)),)
    found = again(written(carried), carried)
    assert found == carried
    assert isinstance(found, tuple)
    assert isinstance(found[0].pattern, Pattern)
    assert found[0].pattern.digest() == pattern.digest()


@pytest.mark.parametrize("text", ["it's", 'so "called"', "both ' and \"", "back\\slash\nline", "", "ü"])
def test_words_come_back(text: str) -> None:
    assert again(written((text,)), ()) == (text,)


def test_lines_are_short_and_in_the_house_format() -> None:
    pattern = lower.lower(load.find("a_shape"))
    lines = written(pattern, 0, 10).splitlines()
    assert all(len(line) <= WIDTH for line in lines)
    assert "'" not in "".join(lines)
    assert lines[-1] == ")"
