"""Was a sample taken while the hardware was slowed down? Then it is dropped, and taken again once that is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from attncc.autotune import conditions, provenance
from attncc.autotune.sampler import Sampler
from attncc.device import DeviceModel
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure

#: Says at each call what has slowed hardware down since the call before, or does now; nothing is the rule.
Trouble: TypeAlias = Callable[[], tuple[str, ...]]

#: So long is waited before a sample is taken again, and so often: hardware that does not recover is measured as it is,
#: and the decision says so.
PAUSE_SECONDS: Final = 0.5
MOST_PAUSES: Final = 20


@dataclass(slots=True)
class Watched:
    """A Sampler that asks `trouble` after each sample what slows the hardware down (nothing: the sample counts).

    `made_with` tells of the machine that samples; `dropped` counts the samples that were taken again; `kept_slowed`
    those that counted all the same.
    """

    sampler: Sampler
    trouble: Trouble
    pause: Callable[[float], None] = field(default=time.sleep)
    made_with: Callable[[DeviceModel], tuple[tuple[str, str], ...]] = field(default=provenance.made_with)
    dropped: int = 0
    kept_slowed: int = 0

    def source(self, schedule: Schedule) -> str:
        return self.sampler.source(schedule)

    def build(self, schedules: Sequence[Schedule]) -> None:
        self.sampler.build(schedules)

    def prepare(self, schedule: Schedule) -> Failure | None:
        return self.sampler.prepare(schedule)

    def sample(self, schedule: Schedule) -> float | Failure:
        """One that was taken while nothing slowed the hardware, as far as patience goes."""
        for _ in range(0 if self.kept_slowed else MOST_PAUSES):
            answer = self.sampler.sample(schedule)
            if isinstance(answer, Failure) or not self.trouble():
                return answer
            self.dropped += 1
            self.pause(PAUSE_SECONDS)
        answer = self.sampler.sample(schedule)
        self.kept_slowed += bool(self.trouble())
        return answer

    def told(self) -> tuple[tuple[str, str], ...]:
        """In words, to be kept beside a decision; nothing where nothing happened."""
        dropped, kept = (
            ("dropped samples", str(self.dropped)),
            ("samples kept while slowed down", str(self.kept_slowed)),
        )
        return ((dropped,) if self.dropped else ()) + ((kept,) if self.kept_slowed else ())


def watched(sampler: Sampler, device: DeviceModel) -> Watched:
    """A sampler of this machine's `device`, watched as its driver or its kernel allows."""
    return Watched(sampler, trouble_of(device))


def trouble_of(device: DeviceModel) -> Trouble:
    """What slows this machine's `device` down, as its driver or its kernel tells."""
    match device.kind:
        case "cuda":
            return conditions.throttled
        case "cpu":
            return conditions.Cores()
        case _:
            return tuple
