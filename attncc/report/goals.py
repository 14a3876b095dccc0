"""What is wanted of kernels on a GPU, and how far is it reached? Judged from what a bench run measured there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from attncc.report import record as records
from attncc.report.blocks import NOTHING, Block, Heading, Paragraph, Table
from attncc.report.choices import ATTENTION, DENSE, SELECTION, causal_pairs, micros
from attncc.report.record import Choice, Record, Workload
from attncc.report.speed import OURS

#: Peers of a GPU: attncc's own causal kernel, and PyTorch's dense causal call by each of two backends.
OWN_DENSE, CUDNN, FLASH, FLEX = "own dense", "sdpa cudnn", "sdpa flash", "flex"
ABSENT, MISSING = "not measured: no GPU", "not measured"
DATA = "data.json"
SHORT, LONG, LONGEST = 16384, 32768, 1048576

LEGEND = " ".join(
    (
        "Each goal is held against the workload that reaches it least, of those that were measured. Ratios are of",
        "medians of the same interleaved rounds, on the GPU's clock, nothing left in its second level of cache.",
        "Choosing keys is part of the time of what chooses them; density is the share of all causal pairs.",
    )
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A ratio, and the workload it was measured on."""

    workload: str
    ratio: float


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted: a ratio of at least, or at most, so much; `figures` are all that were measured."""

    what: str
    wanted: float
    at_least: bool
    figures: Sequence[Figure]

    @property
    def worst(self) -> Figure | None:
        """The figure that is farthest from the goal."""
        ordered = sorted(self.figures, key=lambda figure: figure.ratio, reverse=not self.at_least)
        return ordered[0] if ordered else None

    @property
    def met(self) -> bool | None:
        """None where nothing was measured."""
        if self.worst is None:
            return None
        return self.worst.ratio >= self.wanted if self.at_least else self.worst.ratio <= self.wanted


def goals(found: Record) -> tuple[Goal, ...]:
    """The goals in their order, with what this record has for each."""
    return (
        Goal("dense causal at 16K, over FlexAttention", 1.15, True, tuple(_dense(found, FLEX))),
        Goal("dense causal at 16K, over cuDNN", 0.85, True, tuple(_dense(found, CUDNN))),
        Goal("fixed masks from 32K on, over density x own dense", 1.15, False, tuple(_bound(found))),
        Goal("fixed masks at 32K, over FlexAttention", 1.3, True, tuple(_sparse(found))),
        Goal("vertical-slash, block-sparse from 16K on, over own dense", 1.0, True, tuple(_chosen(found, DYNAMIC))),
        Goal("vertical-slash, block-sparse at 1M, over cuDNN", 10.0, True, tuple(_longest(found, DYNAMIC, (CUDNN,)))),
        Goal("HiP at 1M, over the fastest dense", 10.0, True, tuple(_longest(found, ("hip",), DENSE_PEERS))),
        Goal("landmark, over own dense", 1.3, False, tuple(_landmark(found))),
    )


DYNAMIC = ("vertical_slash", "block_sparse")
DENSE_PEERS = (DENSE, CUDNN, FLASH)


def section(found: Sequence[Record]) -> Iterator[Block]:
    """The table of goals for each GPU that has been measured, or one that says that none has."""
    yield Heading("What is wanted of GPUs")
    yield Paragraph(LEGEND)
    if not found:
        yield table(Record("", ()), ABSENT)
    for one in found:
        if len(found) > 1:
            yield Heading(one.device, 3)
        yield table(one)


def table(found: Record, missing: str = MISSING) -> Table:
    """A row for each goal."""
    return Table(("goal", "wanted", "measured", "on", "reached"), [_row(goal, missing) for goal in goals(found)])


def against_dense(found: Record) -> Table:
    """How many times longer dense attention takes than choosing and attending, by attncc and by PyTorch's backends."""
    headers = ("workload", "choosing and attending ms", "own dense", *DENSE_PEERS[1:])
    rows = [
        (one.workload.name, f"{whole / 1000:.3g}", *(_over_whole(one, peer, whole) for peer in DENSE_PEERS))
        for one in found.choices
        if (whole := _whole(one))
    ]
    return Table(headers, rows)


def _over_whole(choice: Choice, peer: str, whole: float) -> str:
    time = micros(choice, peer)
    return f"{time / whole:.2f} x" if time else NOTHING


def measured(folder: Path) -> tuple[Record, ...]:
    """The records of GPUs in a folder of reports. Raises BenchFileUnreadable."""
    kept = (records.load(path) for path in sorted(folder.glob(f"*/{DATA}")) if path.parent.name != "static")
    return tuple(one for one in kept if of_gpu(one))


def of_gpu(found: Record) -> bool:
    """Whether anything in it was timed on a GPU."""
    timings = [*found.timings, *(timing for choice in found.choices for timing in choice.timings)]
    return any(timing.clock == "gpu" for timing in timings)


def _row(goal: Goal, missing: str) -> tuple[str, ...]:
    wanted = f"{'at least' if goal.at_least else 'at most'} {goal.wanted:.2f} x"
    if goal.worst is None:
        return goal.what, wanted, missing, NOTHING, NOTHING
    others = f", worst of {len(goal.figures)}" if len(goal.figures) > 1 else ""
    return goal.what, wanted, f"{goal.worst.ratio:.2f} x", goal.worst.workload + others, "yes" if goal.met else "no"


def _times(found: Record, work: Workload) -> dict[str, float]:
    """Microseconds of everybody on one workload, as far as there are any."""
    return {one.peer: one.micros for one in found.timings if one.workload == work.name and one.micros}


def _prompts(found: Record, *lengths: int) -> Iterator[Workload]:
    yield from (one for one in found.workloads if one.shape.kv_len in lengths and one.shape.q_len > 1)


def _dense(found: Record, peer: str) -> Iterator[Figure]:
    for work in _prompts(found, SHORT):
        times = _times(found, work)
        if work.pattern == "causal" and {OURS, peer} <= times.keys():
            yield Figure(work.name, times[peer] / times[OURS])


def _bound(found: Record) -> Iterator[Figure]:
    """Time over that of own dense attention, less what the mask leaves out."""
    for work in found.workloads:
        times = _times(found, work)
        if work.shape.kv_len >= LONG and {OURS, OWN_DENSE} <= times.keys() and work.kept_pairs:
            density = work.kept_pairs / causal_pairs(work)
            yield Figure(work.name, times[OURS] / (density * times[OWN_DENSE]))


def _sparse(found: Record) -> Iterator[Figure]:
    for work in _prompts(found, LONG):
        times = _times(found, work)
        if work.pattern != "causal" and {OURS, FLEX} <= times.keys():
            yield Figure(work.name, times[FLEX] / times[OURS])


def _whole(choice: Choice) -> float | None:
    """Choosing and attending."""
    attention = micros(choice, ATTENTION)
    return None if attention is None else attention + (micros(choice, SELECTION) or 0.0)


def _over(choices: Iterable[Choice], peers: Sequence[str]) -> Iterator[Figure]:
    """The fastest of `peers` over the whole call."""
    for choice in choices:
        whole, others = _whole(choice), [time for peer in peers if (time := micros(choice, peer))]
        if whole and others:
            yield Figure(choice.workload.name, min(others) / whole)


def _chosen(found: Record, names: Sequence[str]) -> Iterator[Figure]:
    yield from _over((one for one in found.choices if _is(one, names) and one.workload.shape.kv_len >= SHORT), (DENSE,))


def _longest(found: Record, names: Sequence[str], peers: Sequence[str]) -> Iterator[Figure]:
    yield from _over((one for one in found.choices if _is(one, names) and one.workload.shape.kv_len == LONGEST), peers)


def _landmark(found: Record) -> Iterator[Figure]:
    for figure in _over((one for one in found.choices if _is(one, ("landmark",))), (DENSE,)):
        yield Figure(figure.workload, 1 / figure.ratio)


def _is(choice: Choice, names: Sequence[str]) -> bool:
    return choice.workload.pattern in names
