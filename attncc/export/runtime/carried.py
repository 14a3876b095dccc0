"""What is carried along for a pattern whose file, set algebra and code generator stay behind."""

from __future__ import annotations

from dataclasses import dataclass

from attncc.ir.expr import BoolExpr
from attncc.ir.pattern import Pattern
from attncc.ir.tile import List


@dataclass(frozen=True, slots=True)
class Carried:
    """A pattern with its parameters in force, what `passes.lists` says of it, and what `passes.needs_lists` says."""

    pattern: Pattern
    lists: tuple[List, ...]
    needs_lists: BoolExpr
