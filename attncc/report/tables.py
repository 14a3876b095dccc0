"""The tables of a report."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from attncc.library.entry import LibraryEntry
from attncc.report.blocks import NOTHING, Cells, Table
from attncc.report.record import Cost, Peak, Record, SetUp, Timing, Workload
from attncc.report.speed import (
    OURS,
    Kind,
    gflops,
    gigabytes_per_second,
    peers,
    ratios,
    share_of_peak,
    timed,
    timing_of,
)


def summary(record: Record) -> Table:
    """For each number of threads, kind of call and peer: how many times longer it takes, median, least and most."""
    threads = sorted({timing.threads for timing in record.timings})
    rows = [
        (
            str(count),
            kind.call,
            kind.dtype,
            peer,
            *(f"{pick(found):.2f} x" for pick in (median, min, max)),
            str(len(found)),
        )
        for count in threads
        for kind in sorted(set(map(Kind.of, record.workloads)))
        for peer in peers(record)
        if (found := ratios(record, peer, count, kind))
    ]
    return Table(("threads", "call", "dtype", "peer", "median", "least", "most", "workloads"), rows)


def ours(record: Record, threads: int) -> Table:
    """attncc's own figures: time, useful GFLOP/s, fraction of the measured peak, tile efficiency, error."""
    headers = ("workload", "ms", "spread", "useful GFLOP/s", "of peak", "tile efficiency", "K and V GB/s", "error")
    return Table(headers, [_own(record, work, timing) for work, timing in timed(record, OURS, threads)])


def against(record: Record, threads: int) -> Table:
    """How many times longer each peer takes than attncc, in the same run."""
    others = peers(record)
    rows = [
        (work.name, _milliseconds(own), *(_ratio(timing_of(record, work, peer, threads), own) for peer in others))
        for work, own in timed(record, OURS, threads)
    ]
    return Table(("workload", "attncc ms", *others), rows)


def peaks(found: Sequence[Peak], bandwidth: float | None) -> Table:
    """The measured ceilings of one core."""
    rows = [(peak.instruction, f"{peak.gflops:,.0f} GFLOP/s") for peak in found]
    memory = [("reading memory", f"{bandwidth:,.1f} GB/s")] if bandwidth else []
    return Table(("ceiling", "a core"), [*rows, *memory])


def setups(found: Sequence[SetUp]) -> Table:
    """What a mask costs before its first kernel."""
    rows = [(setup.pattern, f"{setup.kv_len:,}", setup.peer, _seconds(setup), _bytes(setup)) for setup in found]
    return Table(("pattern", "tokens", "made by", "time", "index memory"), rows)


def costs(found: Sequence[Cost]) -> Table:
    """What a call costs around its kernel, and a process before its first result."""
    return Table(("", "time"), [(cost.what, _duration(cost.seconds)) for cost in found])


def tuned(entries: Sequence[LibraryEntry]) -> Table:
    """The decisions of the library for this hardware; predicted figures are marked."""
    kernel = ("pattern", "parameters", "dtype", "head_dim", "shape class")
    return Table((*kernel, "default us", "us", "ratio", "kind", "schedule"), [_decision(entry) for entry in entries])


def _own(record: Record, work: Workload, timing: Timing) -> Cells:
    efficiency = work.kept_pairs / work.visited_pairs if work.visited_pairs else None
    return (
        work.name,
        _milliseconds(timing),
        _number(timing.spread, "±{:.1%}"),
        _number(gflops(work, timing), "{:,.0f}"),
        _number(share_of_peak(record, work, timing), "{:.0%}"),
        _number(efficiency, "{:.0%}"),
        _number(gigabytes_per_second(work, timing), "{:.1f}"),
        _number(timing.error, "{:.1e}"),
    )


def _ratio(found: Timing | None, own: Timing) -> str:
    if found is None or found.micros is None or own.micros is None:
        return found.reason or NOTHING if found else NOTHING
    return f"{found.micros / own.micros:.2f} x{'' if found.same_result else ' (denser result)'}"


def _decision(entry: LibraryEntry) -> Cells:
    key = entry.key
    params = " ".join(f"{name}={value}" for name, value in entry.params)
    what = (key.pattern, params or NOTHING, key.dtype, str(key.head_dim), key.shape_class)
    times = (f"{entry.default_micros:,.0f}", f"{entry.micros:,.0f}", f"{entry.speedup:.2f} x")
    return (*what, *times, entry.kind, f"`{entry.schedule}`")


def _milliseconds(timing: Timing) -> str:
    return timing.reason or NOTHING if timing.micros is None else f"{timing.micros / 1000:.3g}"


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else form.format(value)


def _seconds(setup: SetUp) -> str:
    return setup.reason or NOTHING if setup.seconds is None else _duration(setup.seconds)


def _duration(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _bytes(setup: SetUp) -> str:
    if setup.bytes is None:
        return NOTHING
    return f"{setup.bytes / 2**20:.1f} MiB" if setup.bytes else "none"
