"""A report in Markdown, for the repository it lies in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from tabulate import tabulate

from attncc.report.blocks import Block, Gallery, Heading, Paragraph, Picture, Table


def markdown(blocks: Iterable[Block]) -> str:
    """The whole page."""
    return "\n\n".join(map(_block, blocks)) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
        case Table():
            return _table(block)
        case Picture(path, text):
            return f"![{text}]({path})"
        case Gallery(pictures):
            return "\n".join(f'<img src="{one.path}" width="32%" alt="{one.text}">' for one in pictures)
        case _:
            assert_never(block)


def _table(table: Table) -> str:
    sides = ["right" if figures else "left" for figures in table.figures()]
    rows = [[cell.replace("|", r"\|") for cell in row] for row in table.rows]
    return tabulate(rows, headers=table.headers, tablefmt="pipe", disable_numparse=True, colalign=sides)
