"""Do both pages say the same, and is the one for browsers whole?"""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from attncc.report.blocks import Block, Gallery, Heading, Paragraph, Picture, Table
from attncc.report.html import html
from attncc.report.markdown import markdown

SVG = '<?xml version="1.0"?><svg width="10pt" height="5pt" viewBox="0 0 10 5"><g id="a"/><use href="#a"/></svg>'
BLOCKS: tuple[Block, ...] = (
    Heading("some-cpu", 1),
    Heading("Figures & facts"),
    Paragraph("Less than `a < b`, *never* run."),
    Table(("what", "ms"), [("`x|y`", "1.5"), ("b", "±2%")]),
    Picture("one.svg", "a picture"),
    Gallery([Picture("one.svg", "first"), Picture("one.svg", "second")]),
)


class Whole(HTMLParser):
    """Counts what is open, and collects what would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.fetched += [str(given[name]) for name in ("src", "href", "xlink:href") if name in given]
        self.ids += [str(given["id"])] if "id" in given else []
        if tag not in ("meta", "use", "g", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()


def test_a_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    (tmp_path / "one.svg").write_text(SVG)
    page = html(BLOCKS, tmp_path)
    found = Whole()
    found.feed(page)
    assert not found.open
    assert found.fetched
    assert all(one.startswith("#") for one in found.fetched)
    assert len(found.ids) == len(set(found.ids)), "pictures keep their names apart"
    assert "<code>a &lt; b</code>" in page
    assert "<em>never</em>" in page
    assert '<td class="figure">1.5</td>' in page
    assert 'aria-label="second"' in page


def test_markdown_says_the_same() -> None:
    page = markdown(BLOCKS)
    assert page.startswith("# some-cpu\n\n## Figures & facts\n\nLess than `a < b`")
    assert "| `x\\|y`" in page, "a bar would end the cell"
    assert "![a picture](one.svg)" in page
