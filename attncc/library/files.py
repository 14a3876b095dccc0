"""Decisions that lie in text files: those that come with attncc, and those of a lock file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from attncc.library import hardware
from attncc.library.entry import LibraryEntry
from attncc.library.exchange import read_json
from attncc.library.key import KernelKey
from attncc.library.places import SUFFIX, read_texts

#: One file for each hardware, as `attncc library export` writes them.
SHIPPED: Final = Path(__file__).parent / "shipped"


@dataclass(frozen=True, slots=True)
class Decisions:
    """Entries read from text, as a Place."""

    by_key: Mapping[KernelKey, LibraryEntry]

    @classmethod
    def of(cls, entries: Iterable[LibraryEntry]) -> Decisions:
        return cls({entry.key: entry for entry in entries})

    def decision(self, key: KernelKey) -> LibraryEntry | None:
        """What was decided for `key`."""
        return self.by_key.get(key)

    def entries(self) -> tuple[LibraryEntry, ...]:
        """Every decision, in the order of the text."""
        return tuple(self.by_key.values())


def read(place: str) -> Decisions:
    """The decisions in a file, a folder or at a URL. Raises PlaceUnusable and ImportRefused."""
    return Decisions.of(entry for where, text in read_texts(place).items() for entry in read_json(text, where))


@cache
def shipped(name: str, folder: Path = SHIPPED) -> Decisions:
    """What comes with attncc for the hardware of this name."""
    file = folder / f"{name}{SUFFIX}"
    return read(str(file)) if hardware.read(name) and file.exists() else Decisions({})


def all_shipped(folder: Path = SHIPPED) -> Decisions:
    """What comes with attncc for any hardware: where tuning may start."""
    return read(str(folder)) if folder.exists() else Decisions({})
