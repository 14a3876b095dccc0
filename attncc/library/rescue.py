"""What is done with a damaged library file? It is moved aside, and what can still be read is taken over."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from attncc.errors import LibraryDamaged
from attncc.library.connect import FILE
from attncc.library.record import RecordError, parse, read_entry
from attncc.library.store import KernelLibrary


@dataclass(frozen=True, slots=True)
class Rescued:
    """Where the damaged file lies, and how many decisions were still readable."""

    aside: Path
    decisions: int


def rescue(folder: Path) -> Rescued | None:
    """Moves the library file of `folder` aside and starts another one with the decisions that can still be read; None
    if all of it can be read. Raises LibraryNewer."""
    if _intact(folder):
        return None
    aside = _move_aside(folder)
    with KernelLibrary(folder) as library:
        kept = 0
        for record in _readable(aside):
            try:
                library.put(read_entry(parse(record, "decision")))
            except RecordError:
                continue
            kept += 1
    return Rescued(aside, kept)


def _intact(folder: Path) -> bool:
    try:
        with KernelLibrary(folder) as library:
            library.entries()
            for key in library.kernel_keys():
                library.trials(key)
            return library.sound()
    except LibraryDamaged:
        return False


def _move_aside(folder: Path) -> Path:
    """Renames the file and its journals; a name that is taken is never used again."""
    aside = next(name for number in count(1) if not (name := folder / f"{FILE}.damaged-{number}").exists())
    for suffix in ("-wal", "-shm", ""):
        part = folder / f"{FILE}{suffix}"
        if part.exists():
            part.rename(f"{aside}{suffix}")
    return aside


def _readable(file: Path) -> Iterator[str]:
    """The decisions from the front of the table up to the first page that is broken."""
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        for (record,) in connection.execute("SELECT record FROM decision"):
            yield str(record)
    except sqlite3.DatabaseError:
        return
    finally:
        connection.close()
