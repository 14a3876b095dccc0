"""What the tests of this room tune: one small pattern, one shape, a device that is always there, recorded times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from attncc.autotune.job import Job
from attncc.device import DeviceModel
from attncc.ir.expr import Compare, Var
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands, Schedule, Shape
from attncc.library.entry import Failure
from tests.autotune import toy

CAUSAL: Final = Pattern("causal", "", "", (), Compare("<=", Var("kv"), Var("q")))
SHAPE: Final = Shape(1, 2, 1, 24, 40, 16)
DEVICE: Final = DeviceModel("cpu", "test-machine", "portable", 2, present=True)
JOB: Final = Job(CAUSAL, Operands("float32", 16), SHAPE, DEVICE, toy.WRITER)


def schedule(tile: int, fault: str = "none") -> Schedule:
    return Schedule((("tile", tile), ("fault", fault)))


@dataclass(eq=False)
class Replay:
    """A Sampler that reads times from a table and remembers what it was asked."""

    micros: Mapping[Schedule, float | Failure]
    built: list[Schedule] = field(default_factory=list)
    prepared: list[Schedule] = field(default_factory=list)
    sampled: list[Schedule] = field(default_factory=list)
    noise: Mapping[Schedule, list[float]] = field(default_factory=dict)

    def source(self, schedule: Schedule) -> str:
        return str(schedule)

    def build(self, schedules: Sequence[Schedule]) -> None:
        self.built += schedules

    def prepare(self, schedule: Schedule) -> Failure | None:
        self.prepared.append(schedule)
        known = self.micros[schedule]
        return known if isinstance(known, Failure) else None

    def sample(self, schedule: Schedule) -> float | Failure:
        self.sampled.append(schedule)
        known = self.micros[schedule]
        if isinstance(known, float) and self.noise.get(schedule):
            return known * self.noise[schedule].pop(0)
        return known


def toy_times() -> Replay:
    """The toy backend's times, without the toy."""
    return Replay({schedule(int(tile)): 1e3 * millis for tile, millis in toy.MILLIS.items()})


def folder(tmp_path: Path) -> Path:
    return tmp_path / "library"
