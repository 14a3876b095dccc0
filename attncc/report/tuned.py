"""The section on tuning: decisions, how they came about, and how well the model foresaw them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from attncc.library.entry import LibraryEntry
from attncc.report import charts, tables
from attncc.report.blocks import NOTHING, Block, Heading, Paragraph, Picture, Table
from attncc.report.record import Tuning

CURVES, FORESEEN = "tuning_best.svg", "tuning_foreseen.svg"


def section(entries: Sequence[LibraryEntry], tunings: Sequence[Tuning]) -> Iterator[Block]:
    """Everything on tuning; the pictures are those that `draw` saves."""
    if entries:
        yield Heading("Tuned kernels")
        yield Paragraph("Default and tuned schedule were timed against each other. *Predicted* entries were never run.")
        yield tables.tuned(entries)
    if not tunings:
        return
    yield Heading("How schedules were found")
    yield Paragraph(
        "The schedules that are left after each stage, and why others fell out. Those that cannot be told apart from "
        "the fastest form one set, from which a fixed order takes one, so that another run decides the same."
    )
    yield funnels(tunings)
    if _curves(tunings):
        yield Paragraph("The best time so far, relative to the default schedule, after each schedule that was tried:")
        yield Picture(CURVES, "best time so far against schedules tried, a line for each task")
    yield Heading("Predicted against measured", 3)
    yield Paragraph(
        "What the model says of a task from what was measured with *other* tasks on this hardware, held against what "
        "was then measured. Regret is how much slower than the best of all the best of the first 1 or 5 by prediction "
        "is. Where nothing else was measured, the model knows counts of the pattern and figures of the hardware only."
    )
    yield foreseen(tunings)
    if _scattered(tunings):
        yield Picture(FORESEEN, "measured against predicted time of each schedule, relative to the default schedule")


def draw(tunings: Sequence[Tuning], home: Path) -> None:
    """Saves the pictures of the section, as far as there is something to see."""
    if _curves(tunings):
        charts.save_curves({one.kernel: one.best for one in _curves(tunings)}, home / CURVES)
    if _scattered(tunings):
        charts.save_scatter({one.kernel: one.foreseen for one in _scattered(tunings)}, home / FORESEEN)


def funnels(tunings: Sequence[Tuning]) -> Table:
    """A row for each task, a column for each stage."""
    stages = list(dict.fromkeys(stage for one in tunings for stage, _ in one.funnel))
    rows = []
    for one in tunings:
        counts = dict(one.funnel)
        why = ", ".join(f"{count} {reason}" for reason, count in one.pruned) or NOTHING
        rows.append((one.kernel, *(str(counts[stage]) if stage in counts else NOTHING for stage in stages), why))
    return Table(("task", *stages, "fell out"), rows)


def foreseen(tunings: Sequence[Tuning]) -> Table:
    """How well the model ranked the schedules of each task."""
    headers = ("task", "model", "schedules", "rank correlation", "regret of first", "of first 5")
    return Table(headers, [_foreseen(one) for one in tunings if one.kind == "measured"])


def _foreseen(one: Tuning) -> tuple[str, ...]:
    if one.rank_correlation is None or one.regret_1 is None or one.regret_5 is None:
        return one.kernel, one.level or "not known here", str(len(one.foreseen)), NOTHING, NOTHING, NOTHING
    regrets = (f"{regret:.1%}" for regret in (one.regret_1, one.regret_5))
    return one.kernel, one.level, str(len(one.foreseen)), f"{one.rank_correlation:.2f}", *regrets


def _curves(tunings: Sequence[Tuning]) -> list[Tuning]:
    return [one for one in tunings if len(one.best) > 1 and one.kind == "measured"]


def _scattered(tunings: Sequence[Tuning]) -> list[Tuning]:
    return [one for one in tunings if len(one.foreseen) > 1 and one.kind == "measured"]
