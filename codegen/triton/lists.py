"""Writes where a query tile finds its row of a list, which of its keys lie in a run, and what inputs hold there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attncc.codegen.writer import Writer
from attncc.ir.expr import Q_FIRST
from attncc.ir.selection import Geometry

ROW = """\
# The tile's row of `{name}`.
{name}_row = head * {name}_list_heads // {q_heads} * {name}_list_rows{block}
{name}_row += batch * {name}_list_batch_stride
{name}_entries = {name}_entries_ptr + tl.load({name}_start_ptr + {name}_row)
{name}_count = tl.load({name}_count_ptr + {name}_row)
"""

TOKENS = """\
{name}_tokens = {name}_tokens_ptr + batch * {name}_tokens_batch_stride
{name}_tokens += (head * {name}_tokens_heads // {q_heads}).to(tl.int64) * {name}_tokens_head_stride
"""

#: Queries before the first key have no tokens of their own, and take those of the first.
TOKENS_OF_ROWS = "{name}_q = tl.load({name}_tokens + tl.maximum(q, 0){mask})"

TOKENS_OF_KEYS = "{name}_kv = tl.load({name}_tokens + kv, mask=kv < kv_len, other=0)"


def constants(name: str, geometry: Geometry) -> Mapping[str, int]:
    """The numbers that a kernel must know of a list: keys of a unit, queries of a row, queries of a distance."""
    sizes = {size(name): geometry.size, _rows(name): geometry.rows, _step(name): geometry.step}
    return {constant: value for constant, value in sizes.items() if value is not None}


def size(name: str) -> str:
    """The constant that holds how many keys a unit of a list has."""
    return f"{name.upper()}_SIZE"


def row_lines(w: Writer, lists: Mapping[str, Geometry], q_heads: str) -> None:
    """Writes where the tile's row of each list is, its count and, for distances, the key that they are counted from."""
    for name, geometry in lists.items():
        w.line()
        w.lines(ROW.format(name=name, q_heads=q_heads, block=_block(name, geometry.rows)))
        if geometry.step is not None:
            w.line(f"{name}_base = floor_div({Q_FIRST}, {_step(name)}) * {_step(name)}")


def token_lines(w: Writer, names: Iterable[str], of_rows: Iterable[str], q_heads: str, mask: str) -> None:
    """Writes the row of tokens of each input, and what those of `of_rows` hold for the queries of the tile."""
    for name in names:
        w.line()
        w.lines(TOKENS.format(name=name, q_heads=q_heads))
        if name in of_rows:
            w.line(TOKENS_OF_ROWS.format(name=name, mask=mask))


def entry_text(name: str, geometry: Geometry) -> str:
    """The entry of a list that would stand for the key kv."""
    if geometry.step is not None:
        return f"kv - {name}_base"
    return "kv" if geometry.size == 1 else f"kv // {size(name)}"


def key_lines(name: str, geometry: Geometry, mask: str) -> list[str]:
    """Statements that set `position` to the keys at the places `at` of a row, counted in keys."""
    if geometry.size > 1:
        unit = f"unit = tl.load({name}_entries + at // {size(name)}{mask})"
        return [unit, f"position = unit * {size(name)} + at % {size(name)}"]
    entry = f"tl.load({name}_entries + at{mask})"
    return [f"position = {entry if geometry.step is None else f'{name}_base + {entry}'}"]


def place_text(name: str, geometry: Geometry, key: str) -> str:
    """How many keys of the row lie before `key`, a sum."""
    past = key if geometry.step is None else f"-{name}_base" if key == "0" else f"{key} - {name}_base"
    return f"keys_before({name}_entries, {name}_count, {past}, {1 if geometry.size == 1 else size(name)})"


def _block(name: str, rows: int | None) -> str:
    """The line that adds the row block of the tile, of those in which a call has queries."""
    if rows is None:
        return ""
    first, offset = (
        position if rows == 1 else f"floor_div({position}, {_rows(name)})" for position in (Q_FIRST, "offset")
    )
    return f"\n{name}_row += {first} - {offset}"


def _rows(name: str) -> str:
    return f"{name.upper()}_ROWS"


def _step(name: str) -> str:
    return f"{name.upper()}_STEP"
