"""The fixed text of generated C files, kept as C; `part` reads one."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def part(name: str) -> str:
    """The text of parts/<name>.c."""
    return files(__name__).joinpath(f"{name}.c").read_text(encoding="utf-8")
