"""Which decision serves a key, and what is the nearest one where there is none?

Places are asked in their order: a user's library before the entries that come with attncc. An exact entry of any place
comes before a near one of all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from attncc.library import hardware
from attncc.library.entry import LibraryEntry
from attncc.library.key import IDENTITY, KernelKey

#: How a found entry relates to the key: its own; of another class of shapes; timed with another toolchain or policy;
#: timed on other hardware.
Standing: TypeAlias = Literal["exact", "another class", "another environment", "other hardware"]
SERVING: Final[tuple[Standing, ...]] = ("exact", "another class", "another environment")

#: A class serves another one if each of its sizes is at most so many powers of two away.
REACH: Final = 2


class Place(Protocol):
    """Where decisions are kept: a KernelLibrary, or the files of a folder."""

    def decision(self, key: KernelKey) -> LibraryEntry | None: ...

    def entries(self) -> tuple[LibraryEntry, ...]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """An entry, how it stands to the key that was asked for, and the fields in which they differ."""

    entry: LibraryEntry
    standing: Standing
    differs: tuple[str, ...]

    def __str__(self) -> str:
        if self.standing == "exact":
            return f"{self.entry.kind} for this call"
        return f"{self.entry.kind} for {self.standing} (other {', '.join(self.differs)})"


def serving(key: KernelKey, places: Sequence[Place]) -> Found | None:
    """The entry whose schedule serves calls of `key`: its own, else the nearest class's within REACH on this hardware,
    else one of another toolchain or policy. Other hardware's never serves: see `nearest`.

    Of several, measured comes before predicted; then the same toolchain and the policy with more in common (`eager
    cold` serves `eager warm` before `graph cold` does); then the nearer class; then more schedules tried, more rounds.
    The effort of a decision is no part of its key: a better founded decision replaces the one before it.
    """
    for place in places:
        entry = place.decision(key)
        if entry is not None:
            return Found(entry, "exact", ())
    return next((found for found in nearest(key, places) if found.standing in SERVING and within(key, found)), None)


def nearest(key: KernelKey, places: Sequence[Place]) -> tuple[Found, ...]:
    """Entries of the same kernels (what IDENTITY says, its class and space of schedules aside), the most useful first:
    by standing, then by hardware, then as `serving` says. What serves not may still be where tuning starts."""
    found = [_found(key, entry) for place in places for entry in place.entries() if _akin(key, entry.key)]
    first = {one.entry.key: one for one in reversed(found)}
    order = hardware.nearest(key.hardware, (one.entry.key.hardware for one in found))
    able = [one for one in first.values() if one.entry.key.hardware in order]
    return tuple(sorted(able, key=lambda one: _rank(key, one, order)))


def within(key: KernelKey, found: Found) -> bool:
    """Whether the schedule is from the same space, and every size of its class within REACH."""
    same = "space" not in found.differs
    return same and all(apart <= REACH for apart in octaves(key.shape_class, found.entry.key.shape_class))


def octaves(one: str, other: str) -> tuple[int, ...]:
    """How many powers of two lie between the sizes of two classes, `h32 q4096 kv8192`: heads, queries, keys."""
    sizes = zip(re.findall(r"\d+", one), re.findall(r"\d+", other), strict=False)
    return tuple(abs(int(ours).bit_length() - int(theirs).bit_length()) for ours, theirs in sizes)


def _akin(key: KernelKey, other: KernelKey) -> bool:
    same = (name for name in IDENTITY if name not in ("shape_class", "space"))
    return key != other and all(getattr(key, name) == getattr(other, name) for name in same)


def _found(key: KernelKey, entry: LibraryEntry) -> Found:
    differs = key.differences(entry.key)
    return Found(entry, _standing(differs), differs)


def _standing(differs: Iterable[str]) -> Standing:
    match set(differs):
        case names if "hardware" in names:
            return "other hardware"
        case names if names & {"toolchain", "policy"}:
            return "another environment"
        case _:
            return "another class"


def _rank(key: KernelKey, found: Found, order: Sequence[str]) -> tuple[int | str, ...]:
    standing = ("exact", "another class", "another environment", "other hardware").index(found.standing)
    entry, other = found.entry, found.entry.key
    apart = sum(octaves(key.shape_class, other.shape_class))
    policies = sum(ours != theirs for ours, theirs in zip(key.policy.split(), other.policy.split(), strict=False))
    place = ("space" in found.differs, standing, order.index(other.hardware))
    timed = (entry.kind == "predicted", "toolchain" in found.differs, policies)
    return (*place, *timed, apart, -entry.trials, -entry.confirmed, other.digest())
