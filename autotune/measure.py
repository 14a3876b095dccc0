"""How long does one call take? The clock that a busy machine disturbs least, over calls enough to be seen by it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, TypeAlias

import torch

from attncc.autotune.policy import Policy
from attncc.device import DeviceKind

#: Runs a call so many times and returns the microseconds that took.
Clock: TypeAlias = Callable[[Callable[[], object], int], float]

#: One sample is at least as long as this: far above the resolution of every clock used here.
SAMPLE_MICROS: Final = 2000.0
#: Written between calls, so that nothing of them stays in the second level of cache; the largest has 126 MB.
FLUSHED_BYTES: Final = 256 << 20


def clock_for(kind: DeviceKind, policy: Policy) -> Clock:
    """CPU time of this thread where it works alone, wall time where several do; the GPU's own clock on a GPU."""
    if kind != "cpu":
        return cold_gpu_time if policy.caches == "cold" else gpu_time
    return thread_time if torch.get_num_threads() == 1 else wall_time


def thread_time(call: Callable[[], object], count: int) -> float:
    """Time that other processes take away from this thread does not count."""
    start = time.thread_time_ns()
    for _ in range(count):
        call()
    return (time.thread_time_ns() - start) / 1e3


def wall_time(call: Callable[[], object], count: int) -> float:
    start = time.perf_counter_ns()
    for _ in range(count):
        call()
    return (time.perf_counter_ns() - start) / 1e3


def gpu_time(call: Callable[[], object], count: int) -> float:
    """Between two events on the device: what the host spends on launching is hidden behind the calls before."""
    start, end = torch.Event("cuda", enable_timing=True), torch.Event("cuda", enable_timing=True)
    start.record()
    for _ in range(count):
        call()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) * 1e3


def cold_gpu_time(call: Callable[[], object], count: int) -> float:
    """Of calls that find nothing in the second level of cache: what fills it in between is not timed."""
    flushed = torch.empty(FLUSHED_BYTES, dtype=torch.int8, device="cuda")

    def after_flush() -> float:
        flushed.zero_()
        return gpu_time(call, 1)

    return sum(after_flush() for _ in range(count))


def launched(call: Callable[[], object], policy: Policy) -> Callable[[], object]:
    """The call as the policy makes it: itself, or what replays the graph of its launches."""
    if policy.launch == "eager":
        return call
    # What is compiled or allocated at a first call cannot be part of a graph.
    call()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def repetitions(call: Callable[[], object], clock: Clock) -> int:
    """Calls per sample: enough for SAMPLE_MICROS, judged by the second call (the first one warms up)."""
    clock(call, 1)
    return max(1, math.ceil(SAMPLE_MICROS / max(clock(call, 1), 1e-3)))
