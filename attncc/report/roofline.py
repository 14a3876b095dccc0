"""The roofline of a record: what bounds each workload, the machine or the tiles of its pattern."""

from __future__ import annotations

from pathlib import Path

from attncc.ir.schedule import BYTES
from attncc.report import charts
from attncc.report.charts import Point
from attncc.report.record import Record, Workload
from attncc.report.speed import OURS, gflops, timed, yardstick

LEGEND = " ".join(
    (
        "Useful speed of each workload on one thread against its useful arithmetic per byte, query, key, value and out",
        "each moved once. The line is what the machine can do. The dash above a mark is the pattern's own ceiling:",
        "the peak, less the share of its tiles that the mask does not keep.",
    )
)


def points(record: Record) -> list[Point]:
    """The workloads that were timed on one thread and have a peak to be held against."""
    found = []
    for work, timing in timed(record, OURS, 1):
        peak, speed = yardstick(record, work.dtype), gflops(work, timing)
        if peak is not None and speed is not None:
            roof = min(peak.gflops, intensity(work) * record.bandwidth) if record.bandwidth else peak.gflops
            efficiency = work.kept_pairs / work.visited_pairs if work.visited_pairs else 1.0
            found.append(Point(work.name, intensity(work), speed, roof * efficiency))
    return found


def intensity(work: Workload) -> float:
    """Useful FLOP over the bytes of query, key, value and out, each once."""
    shape = work.shape
    rows = 2 * shape.q_heads * shape.q_len + 2 * shape.kv_heads * shape.kv_len
    return work.useful_flops / (shape.batch * rows * shape.head_dim * BYTES[work.dtype])


def draw(record: Record, path: Path) -> None:
    """Saves the picture of `points`."""
    peaks = {peak.instruction: peak.gflops for peak in record.peaks}
    charts.save_roofline(points(record), peaks, record.bandwidth, path)
