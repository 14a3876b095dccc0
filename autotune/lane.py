"""What is known of one schedule in a race: its times, and those of the control in the same rounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Self

from attncc.library.entry import Timing


@dataclass(slots=True)
class Lane:
    """The samples of one schedule, in microseconds, beside the control's samples of the same rounds."""

    micros: list[float] = field(default_factory=list)
    control: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, float]]) -> Self:
        """A lane that already holds samples: of the schedule, and of the control."""
        lane = cls()
        for micros, control in pairs:
            lane.add(micros, control)
        return lane

    def add(self, micros: float, control: float) -> None:
        self.micros.append(micros)
        self.control.append(control)

    def ratio(self) -> float:
        """The middle over the rounds of time / control: what both lose to a busy machine cancels."""
        return middle([own / other for own, other in zip(self.micros, self.control, strict=True)])

    def timing(self) -> Timing:
        """`micros` is chosen so that `Timing.ratio` is the middle of the ratios, not the ratio of middles."""
        control, ratio = median(self.control), self.ratio()
        if self.micros == self.control:
            return Timing(control, median(abs(own - control) for own in self.micros), len(self.micros), control)
        spread = median(abs(own / other - ratio) for own, other in zip(self.micros, self.control, strict=True))
        return Timing(ratio * control, spread * control, len(self.micros), control)


def middle(values: Sequence[float]) -> float:
    """The mean of the middle half: as little moved by disturbed rounds as the median is, and less by chance."""
    ordered, dropped = sorted(values), math.ceil(len(values) / 4)
    return fmean(ordered[dropped:-dropped]) if len(values) > 2 * dropped else median(ordered)
