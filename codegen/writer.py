"""Writes lines of source with indentation; nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Writer:
    """Collects lines. `with writer.block("for ...:")` indents what follows; C passes the closing line too."""

    def __init__(self, indent: str = "    ") -> None:
        self._lines: list[str] = []
        self._indent = indent
        self._depth = 0

    @property
    def column(self) -> int:
        """How far the next line is indented."""
        return len(self._indent) * self._depth

    def line(self, text: str = "") -> None:
        self._lines.append(f"{self._indent * self._depth}{text}" if text else "")

    def lines(self, text: str) -> None:
        """Every line of `text`, at the present depth."""
        for line in text.splitlines():
            self.line(line)

    @contextmanager
    def block(self, opening: str, closing: str | None = None) -> Iterator[None]:
        self.line(opening)
        self._depth += 1
        yield
        self._depth -= 1
        if closing is not None:
            self.line(closing)

    def source(self) -> str:
        return "\n".join(self._lines) + "\n"
