"""Sparse attention patterns, compiled: declared in YAML, tuned for the hardware at hand, called from PyTorch.

`import attncc` registers every shipped pattern as `torch.ops.attncc.<pattern>`. Where PyTorch is not installed, and in
the program `attncc`, most of whose commands do without it, the names below are imported when they are first used.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING

from attncc import version
from attncc.errors import AttnccError

__all__ = ["AttnccError", "Pattern", "__version__", "attention", "merge_states", "reference", "tune"]

__version__ = version.VERSION

HOME = {
    "Pattern": "attncc.pattern",
    "attention": "attncc.functional",
    "reference": "attncc.functional",
    "merge_states": "attncc.states",
    "tune": "attncc.tuning",
}

#: Rooms that are imported when they are first named.
ROOMS = ("models", "nn", "parallel")

# While `python -m attncc` is being found, the program's name is "-m".
_program = PurePath(*sys.argv[:1]).stem in ("attncc", "-m")

if TYPE_CHECKING or not _program:
    try:
        from attncc.functional import attention, reference
        from attncc.pattern import Pattern
        from attncc.states import merge_states
        from attncc.tuning import tune
    except ModuleNotFoundError as missing:
        if missing.name != "torch":
            raise

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name in ROOMS:
            return importlib.import_module(f"attncc.{name}")
        if name not in HOME:
            raise AttributeError(f"module 'attncc' has no attribute {name!r}")
        return getattr(importlib.import_module(HOME[name]), name)
