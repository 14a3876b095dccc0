"""Which tiles of the score matrix a pattern touches that chooses keys or takes inputs: drawn for one call."""

from __future__ import annotations

import numpy as np
import torch

from attncc import passes
from attncc.autotune.inputs import random_inputs
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Shape
from attncc.ir.tile import Tiling
from attncc.lists import NOTHING, Given
from attncc.ref import dense
from attncc.report.picture import COUNTED, Picture, TileRow, kind
from attncc.report.work import work


def draw_chosen(pattern: Pattern, shape: Shape, head: int, tile: int, seed: int = 0) -> Picture:
    """The tiles of one head of a call with random tensors, by its mask, a strip of rows at a time."""
    inputs = random_inputs(shape, "float32", "cpu", seed, pattern)
    given = inputs.given or NOTHING
    offset = shape.kv_len - shape.q_len
    starts = range(offset // tile * tile, shape.kv_len, tile)
    strips = [range(max(start, offset), min(start + tile, shape.kv_len)) for start in starts]
    rows = tuple(_row(pattern, shape, head, strip, tile, given) for strip in strips)
    counted = passes.run(pattern, Tiling(min(tile, COUNTED, pattern.grain() or COUNTED), 1))
    return Picture(pattern, shape, head, tile, rows, work(counted, _one_head(shape), head, given))


def _one_head(shape: Shape) -> Shape:
    return Shape(1, 1, 1, shape.q_len, shape.kv_len, shape.head_dim)


def _row(pattern: Pattern, shape: Shape, head: int, strip: range, tile: int, given: Given) -> TileRow:
    rows = torch.tensor(strip) - (shape.kv_len - shape.q_len)
    kept = dense.kept(pattern, (shape.batch, shape.q_heads, shape.q_len), shape.kv_len, given, rows)[0, head].numpy()
    edges = np.arange(0, shape.kv_len, tile)
    some = np.logical_or.reduceat(kept.any(0), edges)
    every = np.logical_and.reduceat(kept.all(0), edges)
    return TileRow(strip.start, tuple(kind(*each) for each in zip(some, every, strict=True)))
