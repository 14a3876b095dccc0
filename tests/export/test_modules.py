"""Does an export hold every module that it needs, and none that it does not?"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

from attncc.export.modules import modules
from attncc.spec import load, lower

#: All that may be imported from outside; Triton and numpy only where a kernel for GPUs is handled.
OUTSIDE = {*sys.stdlib_module_names, "torch"}
FOR_GPUS = {"triton", "numpy"}


def imports(path: str, text: str) -> Iterator[tuple[int, str]]:
    """(level, module) of every import; a name that is imported from a folder counts as a module of it."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names):
                yield from ((0, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                yield from ((level, ".".join(filter(None, (module, alias.name)))) for alias in names)
            case _:
                pass


def resolved(path: str, level: int, name: str, there: set[str]) -> bool:
    """Whether a relative import finds its module."""
    place = PurePosixPath(path).parents[level - 1]
    parts = name.split(".")
    return any(str(place.joinpath(*parts[:count])) + ".py" in there for count in range(1, len(parts) + 1))


@pytest.mark.parametrize("names", [("a_shape",), ("landmark",), ("documents",), ("hip",), load.shipped()])
def test_every_import_finds_its_module(names: tuple[str, ...]) -> None:
    found = modules([lower.lower(load.find(name)) for name in names])
    wrong = [
        f"{path}: {module}"
        for path, text in found.items()
        for level, module in imports(path, text)
        if level and not resolved(path, level, module, set(found))
    ]
    assert not wrong


def test_nothing_else_is_imported() -> None:
    found = modules([lower.lower(load.find(name)) for name in load.shipped()])
    wrong = [
        f"{path}: {module}"
        for path, text in found.items()
        for level, module in imports(path, text)
        if not level and module.split(".")[0] not in OUTSIDE | (FOR_GPUS if "codegen/triton/" in path else set())
    ]
    assert not wrong


def test_a_mask_of_positions_brings_no_selection() -> None:
    found = modules([lower.lower(load.find("a_shape"))])
    assert not [path for path in found if path.startswith(("selectors/", "autotune/", "passes/"))]


def test_overlays_take_the_place_of_modules() -> None:
    found = modules([lower.lower(load.find("a_shape"))])
    assert "islpy" not in "".join(found.values())
    assert "platformdirs" not in found["settings.py"]
    assert "NotInPackage" in found["compiler.py"]
