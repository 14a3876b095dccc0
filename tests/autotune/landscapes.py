"""Times of whole spaces, to try strategies on: every schedule has one."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from attncc.autotune.job import Job
from attncc.autotune.strategies import NOTHING, Prior, named
from attncc.device import DeviceModel
from attncc.ir.schedule import Knob, Operands, Schedule, SearchSpace, Shape
from attncc.library.entry import Failure, Timing, Trial
from attncc.spec import load, lower

CONTROL: Final = 1000.0
FOLDER: Final = Path(__file__).parent / "recorded"


@dataclass(frozen=True, eq=False)
class Landscape:
    """A space and the microseconds of each schedule; None for one that fails."""

    name: str
    space: SearchSpace
    micros: Callable[[Schedule], float | None]
    samples: Mapping[Schedule, list[float]] = field(default_factory=dict)

    def trial(self, schedule: Schedule) -> Trial:
        assert self.space.holds(schedule), f"{schedule} is not in the space"
        micros = self.micros(schedule)
        failed = Failure("crash", "as recorded")
        return Trial(schedule, str(schedule), failed if micros is None else Timing(micros, 0.0, 7, CONTROL))

    def best(self) -> float:
        return min(self.trial(schedule).micros for schedule in self.space.schedules())

    def replay(self, strategy: str, seed: int, prior: Prior = NOTHING) -> list[Trial]:
        """The trials that `strategy` asks for until it ends, each schedule once, in order."""
        search = named(strategy)(self.space, random.Random(seed), prior)
        made: dict[Schedule, Trial] = {}
        proposal = next(search)
        while True:
            made |= {schedule: self.trial(schedule) for schedule in proposal}
            try:
                proposal = search.send([made[schedule] for schedule in proposal])
            except StopIteration:
                return list(made.values())


SPACE: Final = SearchSpace(
    (
        Knob("block_m", (8, 16, 32, 64, 128), 32),
        Knob("block_n", (16, 32, 64, 128, 256), 32),
        Knob("unroll", (1, 2, 4, 8), 1),
        Knob("exp", ("table", "polynomial"), "table"),
    ),
    lambda schedule: "too large" if schedule.number("block_m") * schedule.number("block_n") > 16384 else None,
)


def _bowl(schedule: Schedule) -> float:
    """One valley, with its floor at block_m 64, block_n 128, unroll 4, polynomial."""
    far = sum(
        weight * abs(math.log2(schedule.number(knob) / floor))
        for knob, floor, weight in (("block_m", 64, 0.2), ("block_n", 128, 0.1), ("unroll", 4, 0.15))
    )
    return 400.0 * (1 + far) * (1.2 if schedule["exp"] == "table" else 1.0)


def _cliffs(schedule: Schedule) -> float | None:
    """The valley, with schedules that crash on its slopes."""
    crashes = (schedule.number("block_m") + schedule.number("block_n") + schedule.number("unroll")) % 7 == 0
    return None if crashes and schedule != SPACE.default() else _bowl(schedule)


SYNTHETIC: Final = (Landscape("bowl", SPACE, _bowl), Landscape("cliffs", SPACE, _cliffs))


def recorded(file: Path) -> Landscape:
    """A landscape measured by `tests/autotune/record.py`; refusals of its space are part of the record."""
    record = json.loads(file.read_text(encoding="utf-8"))
    knobs = tuple(Knob(knob["name"], tuple(knob["choices"]), knob["default"]) for knob in record["knobs"])
    ratios = {tuple(choices): ratio for *choices, ratio in record["ratios"]}

    def choices(schedule: Schedule) -> tuple[int | str, ...]:
        return tuple(value for _, value in schedule.choices)

    def micros(schedule: Schedule) -> float | None:
        ratio = ratios[choices(schedule)]
        return None if ratio is None else CONTROL * float(ratio)

    space = SearchSpace(knobs, lambda schedule: None if choices(schedule) in ratios else "refused when recorded")
    names = [knob.name for knob in knobs]
    samples = {
        Schedule(tuple(zip(names, choices, strict=True))): [CONTROL * sample for sample in samples]
        for *choices, samples in record.get("samples", ())
    }
    return Landscape(file.stem, space, micros, samples)


def job_of(landscape: Landscape, writer: str) -> Job:
    """The job that a recorded landscape is of."""
    record = json.loads((FOLDER / f"{landscape.name}.json").read_text(encoding="utf-8"))
    pattern, dtype, sizes = record["call"].split()
    shape = Shape(*map(int, sizes.split(",")))
    arch, _, cores = record["hardware"].removeprefix("cpu-").rpartition("-")
    device = DeviceModel("cpu", "recorded", arch, int(cores), present=True)
    return Job(lower.lower(load.find(pattern), {}), Operands(dtype, shape.head_dim), shape, device, writer)


RECORDED: Final = tuple(map(recorded, sorted(FOLDER.glob("*.json"))))
#: Those with samples, not only times.
SAMPLED: Final = tuple(landscape for landscape in RECORDED if landscape.samples)
LANDSCAPES: Final = SYNTHETIC + RECORDED
