"""Times calls side by side where they run: between events on a GPU, nothing left in its second level of cache."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from attncc.autotune.measure import SAMPLE_MICROS, clock_for, launched
from attncc.autotune.measure import Clock as Stopwatch
from attncc.autotune.policy import Policy
from attncc.device import DeviceKind
from attncc.report.record import Clock
from bench.clock import Sampled, turns


@dataclass(frozen=True, slots=True)
class Place:
    """Where tensors lie, how calls are timed there, and whether FlexAttention is compiled. On a CPU all of it can be
    tried with short calls."""

    kind: DeviceKind
    policy: Policy
    compiled: bool

    @property
    def clock(self) -> Clock:
        return "gpu" if self.kind != "cpu" else "wall"

    @property
    def device(self) -> str:
        """As PyTorch calls it: AMD's GPUs go by the name of the others."""
        return "cpu" if self.kind == "cpu" else "cuda"

    def sampled(self, calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Sampled]:
        """Interleaved rounds of calls that have been made once."""
        stopwatch = clock_for(self.kind, self.policy)
        return turns({name: _sample(launched(call, self.policy), stopwatch) for name, call in calls.items()}, rounds)


def _sample(call: Callable[[], object], stopwatch: Stopwatch) -> Callable[[], float]:
    """Takes a sample in seconds a call; a short call is repeated."""
    count = max(1, math.ceil(SAMPLE_MICROS / max(stopwatch(call, 1), 1e-3)))
    return lambda: stopwatch(call, count) / count / 1e6
