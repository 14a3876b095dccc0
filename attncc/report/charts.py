"""Pictures of figures: a roofline, curves of tuning, predictions against measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attncc.report.plots import undated

MUTED = "#9a968c"
#: Told apart by colour and by mark.
COLOURS = ("#2f6690", "#e0a458", "#5c946e", "#a4508b", "#6d6a63", "#c8553d", "#4aa3a2", "#8d7a4f")
MARKS = "os^DvPX*"
#: Names of more letters do not stand side by side.
WIDE_NAME = 48
#: The height of a line of names, and how many a picture has room for as it is.
LINE_INCHES, USUAL_LINES = 0.16, 6


@dataclass(frozen=True, slots=True)
class Point:
    """A workload in a roofline: FLOP per byte, useful GFLOP/s, and the GFLOP/s at which its own tiles would keep the
    multiply-adds busy all the time."""

    name: str
    intensity: float
    gflops: float
    ceiling: float


def save_roofline(points: Sequence[Point], peaks: Mapping[str, float], bandwidth: float | None, path: Path) -> None:
    """Points under the roof of `peaks` in GFLOP/s and of `bandwidth` in GB/s."""
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.add_subplot()
    right = 2 * max(point.intensity for point in points)
    left = min(min(point.intensity for point in points) / 2, _ridge(peaks, bandwidth) / 4)
    for name, peak in peaks.items():
        along = np.geomspace(left, right, 200)
        roof = np.minimum(peak, along * bandwidth) if bandwidth else np.full_like(along, peak)
        axes.plot(along, roof, color="#22262b", linewidth=1.2)
        axes.annotate(
            name, (right, peak), ha="right", va="bottom", fontsize=8, xytext=(0, 3), textcoords="offset points"
        )
    if bandwidth:
        axes.annotate(
            f"memory, {bandwidth:.0f} GB/s",
            (left, left * bandwidth),
            fontsize=8,
            xytext=(6, 2),
            textcoords="offset points",
        )
    for index, point in enumerate(points):
        colour, mark = COLOURS[index % len(COLOURS)], MARKS[index // len(COLOURS) % len(MARKS)]
        axes.plot(point.intensity, point.gflops, mark, color=colour, markersize=7, label=point.name)
        axes.plot(point.intensity, point.ceiling, "_", color=colour, markersize=16, markeredgewidth=2)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylabel("useful GFLOP/s")
    _finish(figure, axes, "useful FLOP per byte of query, key, value and out", path)


def _ridge(peaks: Mapping[str, float], bandwidth: float | None) -> float:
    return max(peaks.values()) / bandwidth if bandwidth else float("inf")


def save_curves(curves: Mapping[str, Sequence[float]], path: Path) -> None:
    """The best ratio so far after each trial."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for index, (name, best) in enumerate(curves.items()):
        colour, mark = COLOURS[index % len(COLOURS)], MARKS[index // len(COLOURS) % len(MARKS)]
        axes.step(
            range(1, len(best) + 1),
            best,
            where="post",
            color=colour,
            marker=mark,
            markersize=4,
            linewidth=1.4,
            label=name,
        )
    axes.axhline(1, color=MUTED, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("best time so far / default schedule")
    _finish(figure, axes, "schedules tried", path)


def save_scatter(clouds: Mapping[str, Sequence[tuple[float, float]]], path: Path) -> None:
    """Measured over predicted, both relative to the default schedule."""
    figure = Figure(figsize=(8, 5.2), layout="constrained")
    axes = figure.add_subplot()
    values = [value for cloud in clouds.values() for pair in cloud for value in pair]
    ends = (min(values) / 1.05, max(values) * 1.05)
    axes.plot(ends, ends, color=MUTED, linewidth=0.8)
    for index, (name, cloud) in enumerate(clouds.items()):
        colour, mark = COLOURS[index % len(COLOURS)], MARKS[index // len(COLOURS) % len(MARKS)]
        axes.plot(*zip(*cloud, strict=True), mark, color=colour, markersize=5, alpha=0.85, label=name)
    axes.set_ylabel("measured time / default schedule")
    _finish(figure, axes, "predicted time / default schedule", path)


def _finish(figure: Figure, axes: Axes, across: str, path: Path) -> None:
    """Saves the figure, what the marks mean below it, where long lists of them make it higher."""
    axes.set_xlabel(across)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e3dc", linewidth=0.6)
    axes.set_axisbelow(True)
    names = [str(label) for label in axes.get_legend_handles_labels()[1]]
    columns = 2 if max(map(len, names)) < WIDE_NAME else 1
    figure.set_figheight(figure.get_figheight() + LINE_INCHES * max(0, len(names) / columns - USUAL_LINES))
    figure.legend(fontsize=7.5, loc="outside lower center", ncols=columns, frameon=False)
    figure.savefig(path, dpi=150, metadata=undated(path))
