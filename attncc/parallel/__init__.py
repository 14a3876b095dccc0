"""One sequence on several ranks: its partition, attention over it, and what that sends from rank to rank.

What is sent is found without PyTorch (`attncc.parallel.traffic`), so the names below are imported when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__all__ = ["attention", "partition", "positions", "unpartition"]

HOME = {
    "attention": "attncc.parallel.functional",
    "partition": "attncc.parallel.shares",
    "positions": "attncc.parallel.shares",
    "unpartition": "attncc.parallel.shares",
}

if TYPE_CHECKING:
    from attncc.parallel.functional import attention
    from attncc.parallel.shares import partition, positions, unpartition

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in HOME:
            raise AttributeError(f"module 'attncc.parallel' has no attribute {name!r}")
        return getattr(importlib.import_module(HOME[name]), name)
