"""Loads generated text as a Python module, from a file that can be read, profiled and imported again."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from attncc.codegen.kernel import KernelSource


def load(source: KernelSource, folder: Path, variant: str = "") -> ModuleType:
    """A fresh module of the source's text, kept as `<entry>_<digest>.py` in `folder`.

    The folder must be private to the user. `variant` tells apart modules of one text.
    """
    path = folder / f"{source.entry}_{source.digest()}.py"
    keep(path, source.text)
    name = f"attncc_generated.{path.stem}{variant}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a .py file has a loader"
    assert spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def keep(path: Path, text: str) -> None:
    """Makes `path` hold `text`; a reader sees the whole text or none."""
    if path.exists() and path.read_bytes() == text.encode():
        return
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=path.stem)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())
    os.replace(draft, path)
