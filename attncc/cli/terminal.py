"""A tile picture as characters: two columns a tile, so that tiles look square."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

from attncc.report.picture import Picture, TileKind

GLYPHS: Mapping[TileKind, str] = {"full": "██", "partial": "▒▒", "empty": "··"}
COLOURS: Mapping[TileKind, str] = {"full": "blue", "partial": "yellow", "empty": "bright_black"}


def cells(columns: int) -> int:
    """How many tiles fit side by side into a terminal of `columns` characters."""
    return max(16, min(64, (columns - 10) // 2))


def lines(picture: Picture) -> Iterator[str]:
    """The picture from the first query tile down, then what the glyphs mean and how many tiles there are of each."""
    for index, row in enumerate(picture.rows):
        label = f"{row.q_first:>7} " if index % 4 == 0 else " " * 8
        yield label + "".join(click.style(GLYPHS[kind], fg=COLOURS[kind]) for kind in row.tiles)
    counts = picture.counts()
    total = sum(counts.values())
    shares = "   ".join(f"{GLYPHS[kind]} {kind} {counts[kind] / total:.1%}" for kind in GLYPHS)
    yield f"\n{total} tiles of {min(picture.tile, picture.shape.q_len)} x {picture.tile}:   {shares}"
    work, pairs = picture.work, picture.shape.q_len * picture.shape.kv_len
    yield f"{work.kept:,} of {pairs:,} pairs kept ({work.kept / pairs:.2%}); tile efficiency {work.efficiency:.1%}"
