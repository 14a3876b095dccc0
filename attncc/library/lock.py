"""Which schedules may be used, and no others? Those of the lock file, if one is set."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from attncc.errors import LockOutdated, NotLocked
from attncc.library import files
from attncc.library.entry import LibraryEntry
from attncc.library.exchange import export_json
from attncc.library.files import Decisions
from attncc.library.find import Place, nearest
from attncc.library.key import KernelKey
from attncc.library.places import write_whole


def locked(lock: Path, key: KernelKey) -> LibraryEntry:
    """What the lock file says for `key`. Raises NotLocked, PlaceUnusable and ImportRefused."""
    held = _read(lock, lock.stat().st_mtime_ns if lock.exists() else 0)
    entry = held.decision(key)
    if entry is None:
        raise NotLocked(lock, call_of(key), missing(key, held))
    return entry


def check(lock: Path, entry: LibraryEntry, source: str) -> None:
    """Raises LockOutdated unless `source`, the digest of what is generated now, is what was locked."""
    if source != entry.source:
        reason = f"the kernel generated now is {source}, the locked one was {entry.source}"
        raise LockOutdated(lock, call_of(entry.key), reason)


def write(lock: Path, place: Place) -> int:
    """Writes the decisions of `place` as a lock file; returns how many."""
    entries = place.entries()
    write_whole(lock, export_json(entries))
    return len(entries)


def call_of(key: KernelKey) -> str:
    """The call in words: pattern, dtype, sizes, hardware."""
    return f"'{key.pattern}' {key.dtype} d{key.head_dim} {key.phase} {key.shape_class} on {key.hardware}"


def missing(key: KernelKey, place: Place) -> str:
    """Why there is nothing for `key`: in which fields the nearest entry differs."""
    near = nearest(key, [place])
    return f"the nearest entry has another {', '.join(near[0].differs)}" if near else "and nothing like it"


@cache
def _read(lock: Path, written: int) -> Decisions:
    """Read once for each time that the file was written."""
    return files.read(str(lock))
