"""A report as one HTML file that needs nothing else: style and pictures are inside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import assert_never

from attncc.report.blocks import Block, Gallery, Heading, Paragraph, Picture, Table

STYLE = Path(__file__).with_name("page.css")


def html(blocks: Sequence[Block], home: Path) -> str:
    """The whole page; the pictures lie in the folder `home`."""
    title = next(block.text for block in blocks if isinstance(block, Heading) and block.level == 1)
    head = (
        "<!doctype html>",
        '<html lang="en">',
        '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>attncc on {escape(title)}</title>",
        f"<style>{STYLE.read_text(encoding='utf-8')}</style></head>",
        "<body>",
    )
    return "\n".join((*head, _contents(blocks), "<main>", *_body(blocks, home), "</main></body></html>")) + "\n"


def _contents(blocks: Iterable[Block]) -> str:
    sections = [block.text for block in blocks if isinstance(block, Heading) and block.level == 2]
    links = "".join(f'<li><a href="#{_anchor(text)}">{_inline(text)}</a></li>' for text in sections)
    return f'<nav aria-label="Sections"><ul>{links}</ul></nav>'


def _body(blocks: Iterable[Block], home: Path) -> Iterator[str]:
    for index, block in enumerate(blocks):
        match block:
            case Heading(text, level):
                yield f'<h{level} id="{_anchor(text)}">{_inline(text)}</h{level}>'
            case Paragraph(text):
                yield f"<p>{_inline(text)}</p>"
            case Table():
                yield _table(block)
            case Picture():
                yield f"<figure>{_drawn(block, home, f'p{index}')}</figure>"
            case Gallery(pictures):
                drawn = (_drawn(one, home, f"p{index}-{at}") for at, one in enumerate(pictures))
                yield f'<div class="gallery">{"".join(f"<figure>{one}</figure>" for one in drawn)}</div>'
            case _:
                assert_never(block)


def _table(table: Table) -> str:
    sides = [' class="figure"' if figures else "" for figures in table.figures()]
    rows = "".join(
        f"<tr>{''.join(f'<td{side}>{_inline(cell)}</td>' for side, cell in zip(sides, row, strict=True))}</tr>"
        for row in table.rows
    )
    names = "".join(
        f'<th scope="col"{side}>{_inline(name)}</th>' for side, name in zip(sides, table.headers, strict=True)
    )
    head = f"<thead><tr>{names}</tr></thead>" if any(table.headers) else ""
    return f'<div class="table" tabindex="0"><table>{head}<tbody>{rows}</tbody></table></div>'


def _drawn(picture: Picture, home: Path, prefix: str) -> str:
    """The drawing itself, its names made its own on this page."""
    drawing = (home / picture.path).read_text(encoding="utf-8")
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", drawing)
    drawing = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", drawing, count=1)
    drawing = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", drawing, count=1)
    return drawing.replace("<svg", f'<svg role="img" aria-label="{escape(picture.text)}"', 1)


def _inline(text: str) -> str:
    """Text with its `code` and *stress*."""
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"(?<!\w)\*([^*<]+)\*(?!\w)", r"<em>\1</em>", safe)


def _anchor(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
