"""What is captured of sparsity, and where it begins to pay, from figures that are worked out by hand."""

from __future__ import annotations

from attncc.ir.schedule import Shape
from attncc.report import sparsity
from attncc.report.record import Record, Rung, Timing, Workload


def timing(peer: str, micros: float) -> Timing:
    return Timing("some", peer, 1, "cpu", True, micros, 0.1, 7)


def test_captured() -> None:
    """4 of 8 queries and keys: 36 causal pairs, of which 9 are kept, so that 4 x is ideal; 3 x are reached."""
    work = Workload("some", "a_shape", (), Shape(1, 1, 1, 8, 8, 16), "float32", 9, None)
    record = Record("cpu", (), workloads=(work,), timings=(timing("attncc", 10), timing("sdpa causal", 30)))
    (row,) = sparsity.captured(record).rows
    assert tuple(row[2:]) == ("25.0%", "4.00 x", "3.00 x", "75%")
    assert sparsity.overall(record, 1) == 0.75


def test_break_even_is_the_length_from_which_on_a_pattern_is_always_faster() -> None:
    times = {64: (2.0, 1.0), 128: (3.0, 4.0), 256: (9.0, 8.0), 512: (10.0, 20.0), 1024: (12.0, 60.0)}
    ladder = [
        Rung("a_shape", (("sink", 4),), "float32", Shape(1, 1, 1, length, length, 64), own, dense, 2 * dense)
        for length, (own, dense) in times.items()
    ]
    (row,) = sparsity.break_even(ladder).rows
    assert row[1:] == ("0.50 x", "1.33 x", "0.89 x", "2.00 x", "5.00 x", "512")
    (row,) = sparsity.break_even(ladder[:1]).rows
    assert row[-1] == "longer than 64"
