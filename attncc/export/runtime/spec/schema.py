"""What is left of a pattern file once its parameters are settled?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attncc.ir.pattern import Pattern


@dataclass(frozen=True, slots=True)
class PatternSpec:
    """A pattern that takes no parameters any more: its kernels are generated."""

    pattern: Pattern

    def defaults(self) -> Mapping[str, int]:
        """The parameters that a call may still set: none."""
        return {}
