"""Pictures for files: the tiles of a pattern, and times side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from attncc.report.picture import Picture, TileKind

KINDS: tuple[TileKind, ...] = ("empty", "partial", "full")
COLOURS: Mapping[TileKind, str] = {"empty": "#f2f2ef", "partial": "#f0a830", "full": "#2f6690"}
#: attncc stands out; the others are told apart by shade.
BARS = ("#2f6690", "#c9c6bd", "#9a968c", "#e0a458", "#6d6a63")
#: Identical input gives identical bytes: no date, no random ids in SVG.
mpl.rcParams["svg.hashsalt"] = "attncc"
mpl.rcParams["svg.fonttype"] = "none"


def save_tiles(picture: Picture, path: Path) -> None:
    """Draws the picture into a PNG or SVG; the suffix decides."""
    figure = Figure(figsize=(6, 6.6), layout="constrained")
    tiles(figure.add_subplot(), picture)
    figure.savefig(path, dpi=150, metadata=undated(path))


def tiles(axes: Axes, picture: Picture) -> None:
    """The tiles of a picture, queries downwards, keys to the right, in tokens."""
    grid = np.array([[KINDS.index(kind) for kind in row.tiles] for row in picture.rows])
    first, keys = picture.rows[0].q_first, picture.shape.kv_len
    # Drawn as whole tiles: the last one may reach past the end.
    right, bottom = grid.shape[1] * picture.tile, first + grid.shape[0] * picture.tile
    colours = ListedColormap([COLOURS[kind] for kind in KINDS])
    axes.imshow(grid, cmap=colours, vmin=0, vmax=2, extent=(0, right, bottom, first), interpolation="nearest")
    axes.set_title(f"{picture.title()}\n{picture.pattern.formula()}", fontsize=9)
    axes.set_xlabel(f"key position (of {keys})")
    axes.set_ylabel("query position")
    axes.legend(handles=_legend(picture), loc="upper right", fontsize=8, framealpha=0.9)


def save_bars(groups: Mapping[str, Mapping[str, float]], unit: str, path: Path) -> None:
    """Horizontal bars, one group a workload, one bar a peer, longer is better; `groups[workload][peer]` in `unit`."""
    peers = list(dict.fromkeys(peer for bars in groups.values() for peer in bars))
    figure = Figure(figsize=(8, 0.5 + 0.22 * len(groups) * (len(peers) + 1)), layout="constrained")
    axes = figure.add_subplot()
    for index, peer in enumerate(peers):
        places = [row * (len(peers) + 1) + index for row, bars in enumerate(groups.values()) if peer in bars]
        lengths = [bars[peer] for bars in groups.values() if peer in bars]
        axes.barh(places, lengths, height=0.9, label=peer, color=BARS[index % len(BARS)])
    middles = [row * (len(peers) + 1) + (len(peers) - 1) / 2 for row in range(len(groups))]
    _label(axes, middles, list(groups), unit)
    figure.savefig(path, dpi=150, metadata=undated(path))


def _label(axes: Axes, places: Sequence[float], names: Sequence[str], unit: str) -> None:
    axes.set_yticks(places, names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, loc="lower right")


def _legend(picture: Picture) -> list[Patch]:
    counts = picture.counts()
    total = sum(counts.values())
    return [
        Patch(facecolor=COLOURS[kind], edgecolor="#888888", label=f"{kind} {counts[kind] / total:.1%}")
        for kind in reversed(KINDS)
    ]


def undated(path: Path) -> dict[str, str | None]:
    """Metadata without the time of day."""
    return {"Date": None} if path.suffix == ".svg" else {"Software": None}
