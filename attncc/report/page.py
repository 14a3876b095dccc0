"""The report of one hardware model: a folder with README.md, data.json and plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from attncc.library.entry import LibraryEntry
from attncc.library.store import KernelLibrary
from attncc.report import choices, goals, plots, record, roofline, sparsity, speed, tables, tested, tuned
from attncc.report.blocks import Block, Gallery, Heading, Paragraph, Picture, Table
from attncc.report.environment import environment, fingerprint
from attncc.report.evidence import tunings
from attncc.report.html import html
from attncc.report.markdown import markdown
from attncc.report.picture import draw, tile_edge
from attncc.report.record import Clock, Record, Tuning
from attncc.spec import load, lower

DATA, PAGE, OFFLINE, TILES, ROOFLINE = "data.json", "README.md", "index.html", "tiles", "roofline.svg"
PICTURE_TILES = 64

HONESTY = " ".join(
    (
        "All peers take turns, round by round; times are medians, the spread is half the interquartile range.",
        "Useful GFLOP/s count 4 * head_dim per (query, key) pair that the mask keeps, whatever a kernel computes.",
        "One thread is timed in CPU time, several threads in wall time, a GPU between two of its own events,",
        "nothing left in its second level of cache.",
        "`sdpa causal` on a sparser mask is PyTorch's dense causal call: it computes a denser result and is there as",
        "what one pays without sparsity.",
    )
)

CAPTURED = " ".join(
    (
        "Density is the share of all causal pairs that the mask keeps, and its inverse the ideal speed-up over dense",
        "attention. Captured is what is reached of it, against the dense causal call of PyTorch's SDPA in the same",
        "rounds; more than 100% where a kernel is the faster one per pair as well.",
    )
)
PREFILLS = " ".join(
    (
        "One prompt through a randomly initialised model with Transformers; the speed-up is over the first",
        "attention of each. A plan that leaves out part of what the model sees gives other logits, by design: the last",
        "column says how far they are from those of SDPA.",
    )
)
BREAK_EVEN = " ".join(
    (
        "How many times faster than dense causal attention (the faster of attncc's own kernel and SDPA) a whole call",
        "is at each length, on one thread; choosing keys is part of the call.",
    )
)


def write(folder: Path, name: str, bench: Record | None, library: KernelLibrary | None = None) -> tuple[Path, Path]:
    """Writes the pages of the hardware called `name` into `folder / name`: README.md and index.html; returns their
    paths.

    Without a `bench`, one kept there by an earlier report is used again, and so is what it says of tuning where the
    library does not hold it.
    """
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    kept = record.load(home / DATA) if (home / DATA).exists() else None
    entries = [entry for entry in library.entries() if device_of(entry) == name] if library else []
    made = entries[-1].made_with if entries else environment()
    found = replace(bench or kept or Record(name, made), tunings=_tunings(library, entries, kept))
    found.save(home / DATA)
    _draw(home, found)
    blocks = tuple(_blocks(home, found, entries))
    (home / PAGE).write_text(markdown(blocks), encoding="utf-8")
    (home / OFFLINE).write_text(html(blocks, home), encoding="utf-8")
    return home / PAGE, home / OFFLINE


def device_of(entry: LibraryEntry) -> str:
    """The name of the hardware that an entry was made for: that of its report."""
    return dict(entry.made_with).get("device", entry.key.hardware)


def _tunings(library: KernelLibrary | None, entries: Sequence[LibraryEntry], kept: Record | None) -> tuple[Tuning, ...]:
    fresh = tunings(library, entries) if library else ()
    known = {one.key for one in fresh}
    return (*(one for one in (kept.tunings if kept else ()) if one.key not in known), *fresh)


def _blocks(home: Path, found: Record, entries: Sequence[LibraryEntry]) -> Iterator[Block]:
    yield Heading(home.name, 1)
    yield Table(("", ""), [*found.environment, ("fingerprint", fingerprint(found.environment))])
    yield from _measured(found)
    yield from tested.section(home)
    yield from tuned.section(entries, found.tunings)
    if _patterns(found):
        yield Heading("The patterns")
        yield Paragraph("Tiles that every row sees whole are dark, those that need the mask light.")
        yield Gallery([Picture(f"{TILES}/{pattern}.svg", pattern) for pattern in _patterns(found)])


def _measured(found: Record) -> Iterator[Block]:
    if goals.of_gpu(found):
        yield from goals.section((found,))
    if found.timings:
        yield Paragraph(HONESTY)
        yield Heading("At a glance")
        yield Paragraph("How many times longer the others take than attncc, over all workloads that both ran:")
        yield tables.summary(found)
        yield Heading("What sparsity brings")
        yield Paragraph(CAPTURED)
        yield sparsity.captured(found)
    if found.rungs:
        yield Heading("From which length it pays", 3)
        yield Paragraph(BREAK_EVEN)
        yield sparsity.break_even(found.rungs)
    yield from _ceilings(found)
    for threads, clock in sorted({(timing.threads, timing.clock) for timing in found.timings}):
        yield Heading(_heading(threads, clock))
        yield Picture(f"threads_{threads}.svg", "useful GFLOP/s")
        yield tables.ours(found, threads)
        yield Paragraph("How many times longer the others take:")
        yield tables.against(found, threads)
    if found.choices or found.footprints:
        yield from _chosen(found)
    if found.prefills:
        yield Heading("Through whole models")
        yield Paragraph(PREFILLS)
        yield tables.prefills(found.prefills)
    if found.setups:
        yield Heading("Before the first kernel runs")
        yield Paragraph(
            "Working out which tiles a mask touches, once per length: time and index memory that kernels then read."
        )
        yield tables.setups(found.setups)
    if found.costs:
        yield Heading("Around the kernels")
        yield tables.costs(found.costs)


def _ceilings(found: Record) -> Iterator[Block]:
    if not found.peaks:
        return
    yield Heading("Ceilings, measured as well")
    yield tables.peaks(found.peaks, found.bandwidth)
    if found.workloads:
        again = ", measured again in the rounds of each workload on one thread, since clocks change"
        probed = again if any(timing.peak for timing in found.timings) else ""
        yield Paragraph(f"Fractions of peak are of {_yardsticks(found)}{probed}.")
    if roofline.points(found):
        yield Paragraph(roofline.LEGEND)
        yield Picture(ROOFLINE, "useful GFLOP/s of each workload on one thread, under the measured roof")


def _chosen(found: Record) -> Iterator[Block]:
    yield Heading("Chosen at run time")
    yield Paragraph(choices.LEGEND)
    if found.choices:
        yield choices.choices(found)
        if goals.of_gpu(found):
            yield Paragraph("How many times longer dense attention takes:")
            yield goals.against_dense(found)
        yield Paragraph("Beside FlexAttention with the same blocks:")
        yield choices.against_flex(found)
    if found.footprints:
        yield Paragraph("What the lists of long calls occupy, and what an index of every tile would:")
        yield choices.footprints(found.footprints)


def _yardsticks(found: Record) -> str:
    dtypes = dict.fromkeys(work.dtype for work in found.workloads)
    pairs = ((dtype, speed.yardstick(found, dtype)) for dtype in dtypes)
    return ", ".join(f"`{peak.instruction}` for {dtype}" for dtype, peak in pairs if peak is not None)


def _heading(threads: int, clock: Clock) -> str:
    if clock != "wall":
        return "One thread, CPU time" if clock == "cpu" else "The GPU's own time"
    return "Wall time" if threads == 1 else f"{threads} threads, wall time"


def _draw(home: Path, found: Record) -> None:
    for threads in sorted({timing.threads for timing in found.timings}):
        plots.save_bars(_bars(found, threads), "useful GFLOP/s", home / f"threads_{threads}.svg")
    if found.peaks and roofline.points(found):
        roofline.draw(found, home / ROOFLINE)
    tuned.draw(found.tunings, home)
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
