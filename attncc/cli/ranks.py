"""A pattern on several ranks, as text: who computes what, and what is sent from rank to rank."""

from __future__ import annotations

from tabulate import tabulate

from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DType, Shape
from attncc.parallel.figures import Figures, Share, figures
from attncc.parallel.layout import Layout, Partition
from attncc.parallel.traffic import Traffic

HEADERS = ("rank", "positions", "rectangles", "pairs computed", "sent")


def describe(pattern: Pattern, shape: Shape, dtype: DType, ranks: int, partition: Partition) -> str:
    """The figures of a forward pass, one rank a line. `shape` is the call of the whole sequence; it has as many queries
    as keys. Raises SequenceTooShort, NotParallel."""
    traffic = Traffic(pattern, shape, Layout(shape.kv_len, ranks, partition))
    found = figures(traffic, dtype)
    lines = [_line(rank, share) for rank, share in enumerate(found.shares)]
    align = ("right",) * len(HEADERS)
    return "\n".join(
        (_title(traffic), tabulate(lines, HEADERS, disable_numparse=True, colalign=align), *_sums(traffic, found))
    )


def _title(traffic: Traffic) -> str:
    layout = traffic.layout
    how = "rectangle by rectangle, merged by lse" if traffic.split else "with all keys gathered"
    return f"{traffic.pattern.name} on {layout.ranks} ranks ({layout.partition}, {layout.parts} chunks), {how}"


def _line(rank: int, share: Share) -> tuple[str, ...]:
    rectangles = f"{share.rectangles} of {share.of_rectangles}"
    return (f"{rank}", f"{share.positions:,}", rectangles, f"{share.pairs:,}", _size(share.bytes_sent))


def _sums(traffic: Traffic, found: Figures) -> tuple[str, ...]:
    sent = f"{_size(found.bytes_sent)} sent forward; full ring attention sends {_size(found.full_ring_bytes)}"
    saved = f" ({found.sent_of_full_ring:.1%} of it)" if found.full_ring_bytes else ""
    balance = f"the rank with most work has {found.imbalance:.2f} times the average"
    return (f"{sent}{saved}", balance)


def _size(count: int) -> str:
    """Bytes in the largest unit that leaves at least one."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} B"
