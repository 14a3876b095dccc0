"""Timing calls side by side: interleaved rounds, so that a busy moment hits every peer alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch

from attncc.report.record import Clock


def _elapsed() -> float:
    # Kernels on a GPU run after the call that starts them has returned.
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


#: What is timed between events on a GPU has no clock here: see `bench.gpu.clock`.
CLOCKS: Mapping[Clock, Callable[[], float]] = {"cpu": time.process_time, "wall": _elapsed}
#: A sample repeats a short call until it has lasted this long.
SAMPLE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Sampled:
    """Microseconds per call: the median, and half the interquartile range as a fraction of it."""

    micros: float
    spread: float
    samples: int


def interleave(
    calls: Mapping[str, Callable[[], object]],
    clock: Clock,
    rounds: int,
    others: Mapping[str, Callable[[], float]] = MappingProxyType({}),
) -> dict[str, Sampled]:
    """Times every call once a round, each round starting with another; calls have been warmed up. `others` take part
    with samples of their own, in seconds."""
    repeats = {name: _repeats(call, clock) for name, call in calls.items()}
    samples = {name: partial(_once, call, clock, repeats[name]) for name, call in calls.items()}
    return turns({**samples, **others}, rounds)


def turns(samples: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Sampled]:
    """Takes a sample of each, in seconds a call, once a round, each round starting with another."""
    seconds: dict[str, list[float]] = {name: [] for name in samples}
    names = list(samples)
    for index in range(rounds if names else 0):
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            seconds[name].append(samples[name]())
    return {name: summary(values) for name, values in seconds.items()}


def summary(seconds: Sequence[float]) -> Sampled:
    """The figures of a list of samples."""
    median = statistics.median(seconds)
    low, _, high = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else (median, median, median)
    return Sampled(median * 1e6, (high - low) / 2 / median, len(seconds))


def _repeats(call: Callable[[], object], clock: Clock) -> int:
    return max(1, round(SAMPLE_SECONDS / max(1e-6, _once(call, clock, 1))))


def _once(call: Callable[[], object], clock: Clock, repeats: int) -> float:
    read = CLOCKS[clock]
    start = read()
    for _ in range(repeats):
        call()
    return (read() - start) / repeats
