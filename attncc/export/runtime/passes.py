"""What the set algebra found out about the patterns of this package when it was exported."""

from __future__ import annotations

from functools import lru_cache

from attncc.export.runtime.carried import Carried
from attncc.export.runtime.exported import EXPORTED
from attncc.ir.expr import BoolExpr
from attncc.ir.pattern import Pattern
from attncc.ir.tile import List


def lists(pattern: Pattern) -> tuple[List, ...]:
    """The lists that kernels of `pattern` are given."""
    return _carried(pattern).lists


def needs_lists(pattern: Pattern) -> BoolExpr:
    """The condition on q_len and kv_len under which a call asks its lists at all."""
    return _carried(pattern).needs_lists


@lru_cache(maxsize=4096)
def _carried(pattern: Pattern) -> Carried:
    return next(one for one in EXPORTED if one.pattern == pattern)
