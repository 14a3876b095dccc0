"""How results are printed: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import click
from tabulate import tabulate

Cell: TypeAlias = str | int | float | bool | None
Row: TypeAlias = Mapping[str, Cell]


def table(rows: Sequence[Row], as_json: bool = False) -> None:
    """Prints `rows`, which share their keys, as an aligned table or as a JSON list."""
    if as_json:
        click.echo(json.dumps([dict(row) for row in rows], indent=2))
        return
    cells = [[text(cell) for cell in row.values()] for row in rows]
    click.echo(tabulate(cells, headers=list(rows[0]) if rows else [], disable_numparse=True, colalign=_align(rows)))


def facts(rows: Sequence[tuple[str, str]]) -> None:
    """Prints names and their values, one a line, values aligned."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {value}")


def text(cell: Cell) -> str:
    """One value as people read it."""
    match cell:
        case None:
            return "-"
        case bool():
            return "yes" if cell else "no"
        case float():
            return f"{cell:,.3g}" if abs(cell) < 100 else f"{cell:,.0f}"
        case int():
            return f"{cell:,}"
        case str():
            return cell


def _align(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    return ["right" if all(isinstance(row[key], int | float | None) for row in rows) else "left" for key in rows[0]]
