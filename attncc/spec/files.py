"""How does the text of a file get in?"""

from __future__ import annotations

import re
from pathlib import Path

from attncc.spec.kind import Kind
from attncc.spec.origin import Origin
from attncc.spec.tokens import Fault


def opened(path: Path, kind: Kind) -> Origin:
    """The text of the file at `path`. Raises the errors of its kind: it cannot be read, or it is no text."""
    if path.exists() and not path.is_file():
        raise kind.unreadable(str(path), "it is not a file")
    try:
        with path.open("rb") as stream:
            raw = stream.read(kind.characters + 1)
    except OSError as error:
        raise kind.unreadable(str(path), error.strerror or "the system refuses") from error
    return Origin(str(path), _text(str(path), raw, kind))


def _text(name: str, raw: bytes, kind: Kind) -> str:
    if len(raw) > kind.characters:
        raise kind.unreadable(name, f"it is larger than {kind.characters:,} bytes, which no {kind.word} needs")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig")
        fault = Fault(len(before), len(before) + 1, f"this is not text; {kind.word} files are UTF-8")
        raise kind.mistakes([Origin(name, before).diagnostic(fault)]) from error
    return re.sub(r"\r\n?", "\n", text)
