"""Which kinds of YAML files are there, how are they named in messages, and how large may one be?"""

from __future__ import annotations

from dataclasses import dataclass

from attncc.errors import FileMistakes, FileUnreadable, PatternFileError, PatternFileUnreadable


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: its word, what a file needs at least, a line of one, the bounds that keep a hostile one cheap,
    and the errors it is refused with."""

    word: str
    needs: str
    example: str
    characters: int
    events: int
    depth: int
    mistakes: type[FileMistakes]
    unreadable: type[FileUnreadable]


#: A pattern file has ten lines.
PATTERN = Kind(
    word="pattern",
    needs="'pattern' and 'mask'",
    example="'mask: kv <= q'",
    characters=32_768,
    events=2_000,
    depth=6,
    mistakes=PatternFileError,
    unreadable=PatternFileUnreadable,
)
