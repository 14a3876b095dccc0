"""Says something to the user once, however often it happens."""

from __future__ import annotations

import warnings
from functools import cache


@cache
def say_once(sentence: str) -> None:
    """Warns with `sentence`, the first time in a process."""
    warnings.warn(sentence, stacklevel=3)
