"""What became of cross-compiled schedules, and how well a filter tells it beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from attncc import passes
from attncc.autotune.gpus import figures
from attncc.autotune.legality import SPILL_BYTES, doomed, doubtful
from attncc.codegen import triton
from attncc.device import DeviceModel, named
from attncc.ir.schedule import Operands, Schedule
from attncc.ir.tile import TilePlan, Tiling
from attncc.spec import load, lower

FOLDER: Final = Path(__file__).parent / "compiled"


@dataclass(frozen=True, slots=True)
class Compilation:
    """A line of the table; `dead` says that nobody would time the kernel, `shared_bytes` is None if there is none."""

    pattern: str
    device: DeviceModel
    operands: Operands
    schedule: Schedule
    dead: bool
    shared_bytes: int | None
    seconds: float

    def refused(self) -> bool:
        """Whether the closed forms refuse it: those of the space, then those of the plan."""
        pattern = lower.lower(load.find(self.pattern), {})
        space = triton.space(self.operands, "prefill", self.device, pattern.grain())
        if space.refusal(self.schedule) is not None:
            return True
        return doomed(self._plan(), self.operands, self.schedule, self.device.arch) is not None

    def put_off(self) -> bool:
        """Whether it is refused, or compiled only after all others."""
        return self.refused() or doubtful(self._plan(), self.operands, self.schedule, self.device.arch)

    def _plan(self) -> TilePlan:
        return planned(self.pattern, triton.tiling("prefill", self.schedule))


@dataclass(frozen=True, slots=True)
class Judgement:
    """Shares: of the dead that were refused, of the living that were, of the seconds that were saved."""

    found: float
    lost: float
    saved: float


@cache
def planned(name: str, tiling: Tiling) -> TilePlan:
    return passes.run(lower.lower(load.find(name), {}), tiling)


def recorded(name: str) -> Iterator[Compilation]:
    """The lines of a table that `tests/autotune/record_compilations.py` wrote."""
    for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        pattern, arch, dtype, head_dim, choices, outcome, seconds = json.loads(line)
        operands, device = Operands(dtype, head_dim), named(arch)
        knobs = triton.space(operands, "prefill", device).knobs
        # Knobs that are younger than the table stand at their defaults.
        values = (*choices, *(knob.default for knob in knobs[len(choices) :]))
        schedule = Schedule(tuple((knob.name, value) for knob, value in zip(knobs, values, strict=True)))
        most = figures(device).unit.program_bytes
        dead = outcome[0] != "used" or outcome[2] > SPILL_BYTES or outcome[3] > most
        shared = outcome[3] if outcome[0] == "used" else None
        yield Compilation(pattern, device, operands, schedule, dead, shared, seconds)


def judged(table: Iterable[Compilation], refused: Callable[[Compilation], bool]) -> Judgement:
    """How well `refused` tells the dead from the living."""
    rows = [(one, refused(one)) for one in table]
    dead = [no for one, no in rows if one.dead]
    living = [no for one, no in rows if not one.dead]
    saved = sum(one.seconds for one, no in rows if no)
    return Judgement(sum(dead) / len(dead), sum(living) / len(living), saved / sum(one.seconds for one, _ in rows))
