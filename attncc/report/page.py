"""The report of one hardware model: a folder with README.md, data.json and plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from attncc.library.entry import LibraryEntry
from attncc.report import choices, plots, record, speed, tables
from attncc.report.environment import environment
from attncc.report.picture import draw, tile_edge
from attncc.report.record import Clock, Record
from attncc.spec import load, lower

DATA, PAGE, TILES = "data.json", "README.md", "tiles"
PICTURE_TILES = 64

HONESTY = " ".join(
    (
        "All peers take turns, round by round; times are medians, the spread is half the interquartile range.",
        "Useful GFLOP/s count 4 * head_dim per (query, key) pair that the mask keeps, whatever a kernel computes.",
        "One thread is timed in CPU time, several threads in wall time.",
        "`sdpa causal` on a sparser mask is PyTorch's dense causal call: it computes a denser result and is there as",
        "what one pays without sparsity.",
    )
)


def write(folder: Path, name: str, bench: Record | None, entries: Sequence[LibraryEntry]) -> Path:
    """Writes the page of the hardware called `name` into `folder / name`; returns the path of its README.md.

    Without a `bench`, one kept there by an earlier report is used again.
    """
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    found = bench or (record.load(home / DATA) if (home / DATA).exists() else None)
    if found is not None:
        found.save(home / DATA)
        _plots(home, found)
    (home / PAGE).write_text("\n\n".join(_sections(name, found, entries)) + "\n", encoding="utf-8")
    return home / PAGE


def _sections(name: str, found: Record | None, entries: Sequence[LibraryEntry]) -> Iterator[str]:
    yield f"# {name}"
    yield tables.markdown(("", ""), found.environment if found else entries[-1].made_with if entries else environment())
    if found is not None:
        yield HONESTY
        yield from _measured(found)
    if entries:
        yield "## Tuned kernels"
        yield "Default and tuned schedule were timed against each other. *Predicted* entries were never run."
        yield tables.tuned(entries)


def _measured(found: Record) -> Iterator[str]:
    if found.timings:
        yield "## At a glance"
        yield "How many times longer the others take than attncc, over all workloads that both ran:"
        yield tables.summary(found)
    if found.peaks:
        yield "## Ceilings, measured as well"
        yield tables.peaks(found.peaks)
        if found.workloads:
            yield f"Fractions of peak are of {_yardsticks(found)}."
    for threads, clock in sorted({(timing.threads, timing.clock) for timing in found.timings}):
        yield f"## {_heading(threads, clock)}"
        yield f"![useful GFLOP/s](threads_{threads}.svg)"
        yield tables.ours(found, threads)
        yield "How many times longer the others take:"
        yield tables.against(found, threads)
    if found.choices or found.footprints:
        yield from _chosen(found)
    if found.setups:
        yield "## Before the first kernel runs"
        yield "Working out which tiles a mask touches, once per length: time and index memory that kernels then read."
        yield tables.setups(found.setups)
    if found.costs:
        yield "## Around the kernels"
        yield tables.costs(found.costs)
    if _patterns(found):
        yield "## The patterns"
        yield "\n".join(
            f'<img src="{TILES}/{pattern}.svg" width="32%" alt="{pattern}">' for pattern in _patterns(found)
        )


def _chosen(found: Record) -> Iterator[str]:
    yield "## Chosen at run time"
    yield choices.LEGEND
    if found.choices:
        yield choices.choices(found)
        yield "Beside FlexAttention with the same blocks:"
        yield choices.against_flex(found)
    if found.footprints:
        yield "What the lists of long calls occupy, and what an index of every tile would:"
        yield choices.footprints(found.footprints)


def _yardsticks(found: Record) -> str:
    dtypes = dict.fromkeys(work.dtype for work in found.workloads)
    pairs = ((dtype, speed.yardstick(found, dtype)) for dtype in dtypes)
    return ", ".join(f"`{peak.instruction}` for {dtype}" for dtype, peak in pairs if peak is not None)


def _heading(threads: int, clock: Clock) -> str:
    if clock == "cpu":
        return "One thread, CPU time"
    return "Wall time" if threads == 1 else f"{threads} threads, wall time"


def _plots(home: Path, found: Record) -> None:
    for threads in sorted({timing.threads for timing in found.timings}):
        plots.save_bars(_bars(found, threads), "useful GFLOP/s", home / f"threads_{threads}.svg")
    (home / TILES).mkdir(exist_ok=True)
    for name in _patterns(found):
        work = next(work for work in found.workloads if work.pattern == name)
        pattern = lower.lower(load.find(name), dict(work.params))
        edge = tile_edge(work.shape.kv_len, PICTURE_TILES)
        plots.save_tiles(draw(pattern, work.shape, head=0, tile=edge), home / TILES / f"{name}.svg")


def _bars(found: Record, threads: int) -> dict[str, dict[str, float]]:
    """Useful GFLOP/s of prompts by workload and peer; a denser result counts only what was asked for. Where some
    workloads have more than one rival, only these, so that the plot stays a plot."""
    bars: dict[str, dict[str, float]] = {}
    for peer in (speed.OURS, *speed.peers(found)):
        for work, timing in speed.timed(found, peer, threads):
            useful = speed.gflops(work, timing)
            if useful is not None and work.shape.q_len > 1:
                bars.setdefault(work.name, {})[peer] = useful
    return {name: lengths for name, lengths in bars.items() if len(lengths) > 2} or bars


def _patterns(found: Record) -> list[str]:
    """Shipped patterns of the prompts that were measured, each once."""
    prompts = (work.pattern for work in found.workloads if work.shape.q_len > 1 and work.visited_pairs is not None)
    return [name for name in dict.fromkeys(prompts) if name in load.shipped()]
