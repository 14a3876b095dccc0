"""What does the name of a hardware say of it, and which known hardware is most like it?"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, cast, get_args

from attncc.device import DeviceKind, DeviceModel

KINDS: Final[tuple[DeviceKind, ...]] = get_args(DeviceKind)
#: Kind, instruction set, cores or SMs, then whatever else tells two models apart, as in `cuda-sm_90-132-50M-80G`.
NAME: Final = re.compile(r"([a-z]+)-([a-z0-9_+.]+)-([0-9]+)((?:-[A-Za-z0-9_+.]+)*)", re.ASCII)
#: Another instruction set is as far away as a thousand times the cores; another generation of it, by digits, half so.
ANOTHER_ARCH: Final = 10.0


@dataclass(frozen=True, slots=True)
class Hardware:
    """The parts of `DeviceModel.hardware`: what the hardware is, not what it is called. `sizes` are those of its caches
    and memory, as far as the name gives them."""

    kind: DeviceKind
    arch: str
    units: int
    sizes: tuple[str, ...]

    def model(self) -> DeviceModel:
        """A device to generate sources for; it need not be present."""
        return DeviceModel(self.kind, self.arch, self.arch, self.units, present=False)

    def distance(self, other: Hardware) -> float:
        """0 for the same; in octaves of cores and sizes. Infinite for another kind, which runs other kernels."""
        if self.kind != other.kind:
            return math.inf
        apart = abs(math.log2(self.units / other.units)) + (self.arch != other.arch) * ANOTHER_ARCH
        return apart + sum(map(_apart, self.sizes, other.sizes))


def read(name: str) -> Hardware | None:
    """The hardware of this name; None if it is no name of hardware (and no name of a file that could be trusted)."""
    found = NAME.fullmatch(name)
    if found is None or found[1] not in KINDS or int(found[3]) == 0:
        return None
    return Hardware(cast(DeviceKind, found[1]), found[2], int(found[3]), tuple(found[4].split("-")[1:]))


def nearest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """`known` hardware of the same kind as `name`, the most similar first."""
    here = read(name)
    found = [(here.distance(there), other) for other in set(known) if here and (there := read(other))]
    return tuple(other for distance, other in sorted(found) if distance < math.inf)


def _apart(size: str, other: str) -> float:
    """Octaves between two sizes such as `50M` and `80G`; a word that is no size counts one if it differs."""
    ours, theirs = _number(size), _number(other)
    if ours is None or theirs is None:
        return float(size != other)
    return abs(math.log2(ours / theirs))


def _number(size: str) -> float | None:
    found = re.fullmatch(r"([0-9]*[1-9][0-9]*)([KMGT]?)", size)
    return float(found[1]) * 1024.0 ** " KMGT".index(found[2] or " ") if found else None
