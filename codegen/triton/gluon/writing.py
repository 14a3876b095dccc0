"""Writes calls, signatures and tuples that may be longer than a line."""

from __future__ import annotations

import re

from attncc.codegen.triton.breaking import WIDTH
from attncc.codegen.writer import Writer


def listed(w: Writer, before: str, items: str, after: str = "") -> None:
    """A tuple, in brackets where it does not fit the line."""
    if len(before) + len(items) + len(after) <= WIDTH - w.column:
        w.line(f"{before}{items}{after}")
        return
    with w.block(f"{before}(", f"){after}"):
        w.lines("\n".join(filled(items, WIDTH - w.column)))


def signature(w: Writer, name: str, arguments: str) -> None:
    """The first line of a function, or as many as it takes."""
    line = f"def {name}({arguments}):"
    if len(line) <= WIDTH:
        w.line(line)
        return
    with w.block(f"def {name}("):
        w.lines("\n".join(filled(arguments, WIDTH - w.column)))
    w.line("):")


def called(w: Writer, what: str, arguments: str) -> None:
    """A call, its arguments in lines of their own where they do not fit."""
    if len(what) + len(arguments) + 2 <= WIDTH - w.column:
        w.line(f"{what}({arguments})")
        return
    with w.block(f"{what}(", ")"):
        w.lines("\n".join(filled(arguments, WIDTH - w.column)))


def partition(w: Writer, name: str, arguments: str) -> None:
    """A function and its arguments, as partitions are given."""
    with w.block("(", "),"):
        w.line(f"{name},")
        with w.block("(", "),"):
            w.lines("\n".join(filled(arguments, WIDTH - w.column)))


def filled(items: str, width: int) -> list[str]:
    """Items of a list, as many to a line as fit."""
    lines = [""]
    for item in items.split(", "):
        if len(lines[-1]) + len(item) + 2 > width:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{item},"
    return lines


def tight(text: str) -> str:
    """The body follows its signature at once."""
    return re.sub(r":\n\n", ":\n", text)
