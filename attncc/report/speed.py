"""What the timings of a record come to: useful speed, fractions of peak, bandwidth, ratios."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from attncc.ir.schedule import BYTES, DType
from attncc.report.record import Peak, Record, Timing, Workload

OURS = "attncc"

#: What a kernel of this element type is held against: the first of these that was measured.
YARDSTICKS: Mapping[DType, tuple[str, ...]] = {
    "float32": ("avx512 fma float32", "avx2 fma float32"),
    "float16": ("avx512 fma float32", "avx2 fma float32"),
    "bfloat16": ("amx bf16", "avx512 dpbf16", "avx512 fma float32", "avx2 fma float32"),
}


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """What workloads have in common when their ratios are summed up: prompts (or single queries), and the dtype."""

    call: str
    dtype: DType

    @staticmethod
    def of(work: Workload) -> Kind:
        return Kind("prompt" if work.shape.q_len > 1 else "single query", work.dtype)


def timed(record: Record, peer: str, threads: int) -> Iterator[tuple[Workload, Timing]]:
    """Each workload that `peer` was asked for on so many threads, with its timing."""
    timings = {timing.workload: timing for timing in record.timings if (timing.peer, timing.threads) == (peer, threads)}
    yield from ((work, timings[work.name]) for work in record.workloads if work.name in timings)


def timing_of(record: Record, work: Workload, peer: str, threads: int) -> Timing | None:
    """The timing of `peer` on one workload."""
    return next((timing for other, timing in timed(record, peer, threads) if other == work), None)


def peers(record: Record) -> list[str]:
    """Everyone but attncc, in the order of the record."""
    return [peer for peer in dict.fromkeys(timing.peer for timing in record.timings) if peer != OURS]


def ratios(record: Record, peer: str, threads: int, kind: Kind) -> list[float]:
    """How many times longer `peer` takes than attncc, for each workload of a kind that both ran."""
    owns = [(work, own) for work, own in timed(record, OURS, threads) if kind == Kind.of(work)]
    pairs = [(timing_of(record, work, peer, threads), own) for work, own in owns]
    return [other.micros / own.micros for other, own in pairs if other and other.micros and own.micros]


def gflops(work: Workload, timing: Timing) -> float | None:
    """Useful GFLOP/s: flops of the pairs the mask keeps, whatever was computed."""
    return None if timing.micros is None else work.useful_flops / timing.micros / 1000


def share_of_peak(record: Record, work: Workload, timing: Timing) -> float | None:
    """Useful speed over the peak of as many cores, of the same rounds if it was measured in them, since clocks change;
    None for single queries, which memory limits."""
    speed, best = gflops(work, timing), yardstick(record, work.dtype)
    peak = timing.peak or (best.gflops if best else None)
    if speed is None or peak is None or work.shape.q_len == 1:
        return None
    return speed / (peak * timing.threads)


def yardstick(record: Record, dtype: DType) -> Peak | None:
    """The peak that kernels of `dtype` are held against."""
    found = {peak.instruction: peak for peak in record.peaks}
    return next((found[name] for name in YARDSTICKS[dtype] if name in found), None)


def gigabytes_per_second(work: Workload, timing: Timing) -> float | None:
    """Keys and values that a single query reads, once for each KV head; None for prompts, which arithmetic limits."""
    if work.shape.q_len > 1 or timing.micros is None:
        return None
    rows = work.kept_pairs // work.shape.group
    return 2 * rows * work.shape.head_dim * BYTES[work.dtype] / timing.micros / 1000
