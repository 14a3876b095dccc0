"""Which generated kernels lie in this package, and which of them serves a call?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from attncc.codegen.kernel import KernelSource, Phase
from attncc.device import CPU_ARCHES, DeviceModel
from attncc.ir.schedule import DType, KnobValue, Operands, Schedule
from attncc.library import hardware
from attncc.library.find import REACH, octaves

#: Beside the folder of these modules.
KERNELS = Path(__file__).parents[1] / "kernels"
LISTING = "kernels.json"


@dataclass(frozen=True, slots=True)
class Held:
    """One generated kernel and the calls it is for; `file` is its source, in the folder of the listing.

    `hardware`, `group` and `shape_class` say what its schedule was tuned for, as in `KernelKey`; with the built-in
    schedule of an `arch` they are "", 0 and "".
    """

    pattern: str
    backend: str
    arch: str
    dtype: DType
    head_dim: int
    phase: Phase
    hardware: str
    group: int
    shape_class: str
    schedule: tuple[tuple[str, KnobValue], ...]
    entry: str
    file: str

    def source(self, folder: Path) -> KernelSource:
        """The kernel as a compiler takes it."""
        text = (folder / self.file).read_text(encoding="utf-8")
        operands, schedule = Operands(self.dtype, self.head_dim), Schedule(self.schedule)
        return KernelSource(self.backend, self.pattern, operands, self.phase, schedule, self.entry, text)


@cache
def listing(folder: Path = KERNELS) -> tuple[Held, ...]:
    """Every kernel of the package."""
    rows = json.loads((folder / LISTING).read_text(encoding="utf-8"))
    return tuple(Held(**{**row, "schedule": tuple((name, value) for name, value in row["schedule"])}) for row in rows)


def serving(held: Sequence[Held], device: DeviceModel, group: int, shape_class: str) -> Held | None:
    """Of kernels for the same pattern, operands and phase: the one tuned on this hardware for this group of heads and
    this class of shapes or the nearest one within REACH; else on the most similar hardware with these instructions;
    else the built-in one for them; else one that needs no more than this device has."""
    alike = [one for one in held if one.arch == device.arch]
    tuned = [one for one in alike if one.hardware and one.group == group and _near(one, shape_class)]
    if tuned:
        return min(
            tuned, key=lambda one: (_distance(one, device), sum(octaves(shape_class, one.shape_class)), one.file)
        )
    built_in = [one for one in held if not one.hardware]
    return next((one for one in alike if not one.hardware), None) or _poorer(built_in, device)


def _near(one: Held, shape_class: str) -> bool:
    return all(apart <= REACH for apart in octaves(shape_class, one.shape_class))


def _distance(one: Held, device: DeviceModel) -> float:
    mine, its = hardware.read(device.hardware), hardware.read(one.hardware)
    assert mine is not None, "a device has a name"
    assert its is not None, "what is tuned is tuned somewhere"
    return mine.distance(its)


def _poorer(built_in: Iterable[Held], device: DeviceModel) -> Held | None:
    """For a CPU the richest instructions that it has; for a GPU those of the oldest of its maker."""
    if device.kind == "cpu":
        runs = [arch for arch, needs in CPU_ARCHES.items() if needs <= CPU_ARCHES[device.arch]]
        return min((one for one in built_in if one.arch in runs), key=lambda one: runs.index(one.arch), default=None)
    maker = "sm_" if device.kind == "cuda" else "gfx"
    return min((one for one in built_in if one.arch.startswith(maker)), key=lambda one: _age(one.arch), default=None)


def _age(arch: str) -> tuple[int, str]:
    """Later architectures have longer and larger numbers."""
    return len(arch), arch


def operands_of(held: Iterable[Held]) -> tuple[Operands, ...]:
    """The element types and head dimensions that there are kernels for."""
    return tuple(dict.fromkeys(Operands(one.dtype, one.head_dim) for one in held))
