"""What sparsity brings: how much of the ideal speed-up is reached, and from which length on it pays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from attncc.report.blocks import NOTHING, Table
from attncc.report.choices import causal_pairs
from attncc.report.goals import CUDNN, FLASH
from attncc.report.record import Record, Rung, Timing, Workload
from attncc.report.speed import OURS, timed, timing_of

#: SDPA's dense causal call; on a GPU by its fastest backend, or by the other one where that refuses.
DENSE = ("sdpa causal", CUDNN, FLASH)


def capture(work: Workload, own: Timing, dense: Timing) -> float | None:
    """(dense / own) / (causal pairs / kept pairs): 1 where a kernel is faster than SDPA's dense causal call by exactly
    as much as it has less to do."""
    if not own.micros or not dense.micros or not work.kept_pairs:
        return None
    return dense.micros / own.micros * work.kept_pairs / causal_pairs(work)


def captured(record: Record) -> Table:
    """The speed-up over dense of every sparser prompt, beside the ideal one."""
    headers = ("workload", "threads", "density", "ideal", "speed-up over SDPA", "captured")
    return Table(headers, list(_captured(record)))


def _captured(record: Record) -> Iterator[tuple[str, ...]]:
    for threads in sorted({timing.threads for timing in record.timings}):
        for work, own in timed(record, OURS, threads):
            dense, density = _dense(record, work, threads), work.kept_pairs / causal_pairs(work)
            found = capture(work, own, dense) if dense else None
            if found is None or density >= 1 or dense is None or not dense.micros or not own.micros:
                continue
            speed_up = f"{dense.micros / own.micros:.2f} x"
            yield work.name, str(threads), f"{density:.1%}", f"{1 / density:.2f} x", speed_up, f"{found:.0%}"


def _dense(record: Record, work: Workload, threads: int) -> Timing | None:
    found = (timing_of(record, work, peer, threads) for peer in DENSE)
    return next((one for one in found if one is not None and one.micros), None)


def break_even(rungs: Sequence[Rung]) -> Table:
    """How many times faster than dense attention each pattern is at each length, and where that begins to be more
    than once: dense is whichever of attncc's own kernel and SDPA is faster there."""
    lengths = sorted({rung.shape.kv_len for rung in rungs})
    ladders: dict[str, dict[int, Rung]] = {}
    for rung in rungs:
        named = " ".join((rung.pattern, *(f"{name}={value}" for name, value in rung.params)))
        ladders.setdefault(f"{named}, {rung.dtype}, d{rung.shape.head_dim}", {})[rung.shape.kv_len] = rung
    rows = [
        (
            name,
            *(f"{gain(ladder[length]):.2f} x" if length in ladder else NOTHING for length in lengths),
            _begins(list(ladder.values())),
        )
        for name, ladder in ladders.items()
    ]
    return Table(("pattern", *(f"{length:,}" for length in lengths), "faster from"), rows)


def gain(rung: Rung) -> float:
    """How many times faster than the faster of both dense kernels."""
    return min(rung.own_dense, rung.sdpa_dense) / rung.micros


def _begins(ladder: Sequence[Rung]) -> str:
    """The shortest measured length from which on the pattern is faster at every measured length."""
    longest_first = sorted(ladder, key=lambda rung: -rung.shape.kv_len)
    begins = None
    for rung in longest_first:
        if gain(rung) <= 1:
            break
        begins = rung.shape.kv_len
    return f"{begins:,}" if begins else f"longer than {longest_first[0].shape.kv_len:,}"


def overall(record: Record, threads: int) -> float | None:
    """The median of what is captured by the sparser prompts on so many threads."""
    found = [
        share
        for work, own in timed(record, OURS, threads)
        if work.kept_pairs < causal_pairs(work)
        and (dense := _dense(record, work, threads))
        and (share := capture(work, own, dense))
    ]
    return median(found) if found else None
