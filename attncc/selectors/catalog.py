"""Which scores are there, and which options does each take? Found by folder; nothing is imported until it is used."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from attncc.ir.selection import OptionValue


@cache
def scores() -> tuple[str, ...]:
    return ("pooled", "last_queries")


@cache
def options(name: str) -> Mapping[str, OptionValue | None]:
    return {"queries": 64} if name == "last_queries" else {}
