"""The tables of a report: what was measured, one row a workload or a peer, in the notation of Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import TypeAlias

from tabulate import tabulate

from attncc.ir.schedule import BYTES, DType
from attncc.library.entry import LibraryEntry
from attncc.report.record import Cost, Peak, Record, SetUp, Timing, Workload

OURS = "attncc"
Cells: TypeAlias = Sequence[str]

#: What a kernel of this element type is held against: the first of these that was measured.
YARDSTICKS: Mapping[DType, tuple[str, ...]] = {
    "float32": ("avx512 fma float32", "avx2 fma float32"),
    "float16": ("avx512 fma float32", "avx2 fma float32"),
    "bfloat16": ("amx bf16", "avx512 dpbf16", "avx512 fma float32", "avx2 fma float32"),
}


def markdown(headers: Cells, rows: Sequence[Cells]) -> str:
    """A pipe table, numbers to the right."""
    return tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True, colalign=_align(rows, len(headers)))


def ours(record: Record, threads: int) -> str:
    """attncc's own figures: time, useful GFLOP/s, fraction of the measured peak, tile efficiency, error.

    A single query reads every key and value once and computes little, so it has GB/s and no fraction of peak.
    """
    headers = (
        "workload",
        "ms",
        "spread",
        "useful GFLOP/s",
        "of peak",
        "tile efficiency",
        "keys and values GB/s",
        "error",
    )
    return markdown(headers, [_own(record, work, timing) for work, timing in timed(record, OURS, threads)])


def against(record: Record, threads: int) -> str:
    """How many times longer each peer takes than attncc, in the same run."""
    peers = list(dict.fromkeys(timing.peer for timing in record.timings if timing.peer != OURS))
    rows = [
        (work.name, milliseconds(timing), *(_ratio(record, work, timing, peer) for peer in peers))
        for work, timing in timed(record, OURS, threads)
    ]
    return markdown(("workload", "attncc ms", *peers), rows)


def summary(record: Record) -> str:
    """For each number of threads, dtype and peer: how many times longer it takes, median, least and most."""
    kinds = dict.fromkeys((timing.threads, work.dtype) for timing in record.timings for work in record.workloads)
    rows = [
        (
            str(threads),
            dtype,
            peer,
            f"{median(found):.2f} x",
            f"{min(found):.2f} x",
            f"{max(found):.2f} x",
            str(len(found)),
        )
        for threads, dtype in sorted(kinds)
        for peer in dict.fromkeys(timing.peer for timing in record.timings)
        if peer != OURS and (found := _ratios(record, peer, threads, dtype))
    ]
    return markdown(("threads", "dtype", "peer", "median", "least", "most", "workloads"), rows)


def _ratios(record: Record, peer: str, threads: int, dtype: DType) -> list[float]:
    pairs = [
        (_timing(record, work, peer, threads), own) for work, own in timed(record, OURS, threads) if work.dtype == dtype
    ]
    return [other.micros / own.micros for other, own in pairs if other and other.micros and own.micros]


def timed(record: Record, peer: str, threads: int) -> Iterator[tuple[Workload, Timing]]:
    """Each workload that `peer` ran on so many threads, with its timing."""
    for work in record.workloads:
        for timing in record.timings:
            if (timing.workload, timing.peer, timing.threads) == (work.name, peer, threads):
                yield work, timing


def peaks(found: Sequence[Peak]) -> str:
    """The measured ceilings of one core."""
    return markdown(("multiply-add", "GFLOP/s a core"), [(peak.instruction, f"{peak.gflops:,.0f}") for peak in found])


def setups(found: Sequence[SetUp]) -> str:
    """What a mask costs before its first kernel."""
    rows = [(setup.pattern, f"{setup.kv_len:,}", setup.peer, _seconds(setup), _bytes(setup)) for setup in found]
    return markdown(("pattern", "tokens", "made by", "time", "index memory"), rows)


def costs(found: Sequence[Cost]) -> str:
    """What a call costs around its kernel, and a process before its first result."""
    return markdown(("", "time"), [(cost.what, _duration(cost.seconds)) for cost in found])


def tuned(entries: Sequence[LibraryEntry]) -> str:
    """The decisions of the library for this hardware; predicted figures are marked."""
    headers = (
        "pattern",
        "parameters",
        "dtype",
        "head_dim",
        "shape class",
        "default us",
        "us",
        "ratio",
        "kind",
        "schedule",
    )
    return markdown(headers, [_decision(entry) for entry in entries])


def milliseconds(timing: Timing) -> str:
    return "-" if timing.micros is None else f"{timing.micros / 1000:.3g}"


def gflops(work: Workload, timing: Timing) -> float | None:
    """Useful GFLOP/s: flops of the pairs the mask keeps, whatever was computed."""
    return None if timing.micros is None else work.useful_flops / timing.micros / 1000


def yardstick(record: Record, dtype: DType) -> Peak | None:
    """The peak that kernels of `dtype` are held against."""
    found = {peak.instruction: peak for peak in record.peaks}
    return next((found[name] for name in YARDSTICKS[dtype] if name in found), None)


def _own(record: Record, work: Workload, timing: Timing) -> Cells:
    speed, peak = gflops(work, timing), yardstick(record, work.dtype)
    return (
        work.name,
        milliseconds(timing),
        _spread(timing),
        f"{speed:,.0f}" if speed else "-",
        f"{speed / (peak.gflops * timing.threads):.0%}" if speed and peak and work.shape.q_len > 1 else "-",
        f"{work.kept_pairs / work.visited_pairs:.0%}" if work.visited_pairs else "-",
        _bandwidth(work, timing),
        "-" if timing.error is None else f"{timing.error:.1e}",
    )


def _bandwidth(work: Workload, timing: Timing) -> str:
    """Keys and values that one query reads, once for each KV head."""
    if work.shape.q_len > 1 or timing.micros is None:
        return "-"
    rows = work.kept_pairs // work.shape.group
    return f"{2 * rows * work.shape.head_dim * BYTES[work.dtype] / timing.micros / 1000:.1f}"


def _ratio(record: Record, work: Workload, own: Timing, peer: str) -> str:
    found = _timing(record, work, peer, own.threads)
    if found is None or found.micros is None or own.micros is None:
        return found.reason or "-" if found else "-"
    return f"{found.micros / own.micros:.2f} x{'' if found.same_result else ' (denser result)'}"


def _timing(record: Record, work: Workload, peer: str, threads: int) -> Timing | None:
    return next((timing for other, timing in timed(record, peer, threads) if other == work), None)


def _spread(timing: Timing) -> str:
    return "-" if timing.spread is None else f"±{timing.spread:.1%}"


def _seconds(setup: SetUp) -> str:
    if setup.seconds is None:
        return setup.reason or "-"
    return _duration(setup.seconds)


def _duration(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _bytes(setup: SetUp) -> str:
    if setup.bytes is None:
        return "-"
    return f"{setup.bytes / 2**20:.1f} MiB" if setup.bytes else "none"


def _decision(entry: LibraryEntry) -> Cells:
    key = entry.key
    params = " ".join(f"{name}={value}" for name, value in entry.params)
    what = (key.pattern, params or "-", key.dtype, str(key.head_dim), key.shape_class)
    times = (f"{entry.default_micros:,.0f}", f"{entry.micros:,.0f}", f"{entry.speedup:.2f} x")
    return (*what, *times, entry.kind, f"`{entry.schedule}`")


def _align(rows: Sequence[Cells], columns: int) -> list[str]:
    numeric = [all(row[index][:1].isdigit() or row[index][:1] in "±-" for row in rows) for index in range(columns)]
    return ["right" if rows and right else "left" for right in numeric]
