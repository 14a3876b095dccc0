"""Do rectangles hold every pair of a mask exactly once, and do ranks send what is said, and little of it?"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncc.errors import NotParallel, SequenceTooShort
from attncc.ir.expr import BoolExpr
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Shape
from attncc.parallel.figures import figures
from attncc.parallel.layout import PARTITIONS, Layout, Partition
from attncc.parallel.traffic import Traffic, splits
from attncc.passes.rectangle import Rectangle, cut, seen
from attncc.ref.evaluate import keep
from attncc.spec import load, lower
from tests.cli.run import attncc
from tests.property.masks import MASKS

EVERY = {name: lower.lower(load.find(name)) for name in load.shipped()}
SHIPPED = [name for name, pattern in EVERY.items() if not pattern.inputs and splits(pattern)]
SMALL: Mapping[str, int] = {"window": 9, "sink": 3, "left": 4, "right": 6, "block": 8, "recent": 7, "full_heads": 2}


def shipped(name: str) -> Pattern:
    """A shipped pattern, with parameters that make a difference in short sequences."""
    return pattern_of(name, **{param: SMALL[param] for param in load.find(name).defaults() if param in SMALL})


def pattern_of(name: str, **params: int) -> Pattern:
    return lower.lower(load.find(name), params)


def check(pattern: Pattern, layout: Layout, shape: Shape, tight: bool = True) -> None:
    """Every rectangle keeps what the mask keeps there, and what no rectangle holds is not kept."""
    whole = keep(pattern, shape.q_heads, shape.q_len, shape.kv_len, shape.batch)
    found = np.zeros(whole.shape, np.int64)
    for rows, keys in itertools.product(layout.chunks, layout.chunks):
        held = seen(pattern, Rectangle(rows, keys), shape)
        if held is not None:
            mine = keep(cut(pattern, held, shape), shape.q_heads, len(held.rows), len(held.keys), shape.batch)
            found[..., held.rows.start : held.rows.stop, held.keys.start : held.keys.stop] += mine
            if tight:
                pairs = mine.any(axis=(0, 1))
                assert pairs[[0, -1]].any(axis=1).all(), "the first and last rows of a rectangle see a key"
                assert pairs[:, [0, -1]].any(axis=0).all(), "the first and last keys of a rectangle are seen"
    assert (found == whole).all()


@pytest.mark.parametrize("partition", get_args(Partition))
@pytest.mark.parametrize("name", SHIPPED)
def test_rectangles_of_shipped_patterns(name: str, partition: Partition) -> None:
    check(shipped(name), Layout(45, 4, partition), Shape(1, 4, 2, 45, 45, 16))


@settings(max_examples=25)
@given(MASKS, st.integers(8, 40), st.integers(1, 4), st.integers(1, 2))
def test_rectangles_of_any_mask(mask: BoolExpr, length: int, ranks: int, batch: int) -> None:
    """Where isl gives up, rectangles may be larger than they must."""
    shape = Shape(batch, 3, 1, length, length, 16)
    check(Pattern("drawn", "", "", (), mask), Layout(length, ranks), shape, tight=False)


@pytest.mark.parametrize("partition", get_args(Partition))
def test_a_window_of_an_eighth_sends_at_most_a_third(partition: Partition) -> None:
    shape = Shape(1, 32, 8, 65536, 65536, 128)
    found = figures(Traffic(pattern_of("sliding_window", window=8192), shape, Layout(65536, 4, partition)), "bfloat16")
    assert found.full_ring_bytes == 3 * 65536 * 2 * 8 * 128 * 2
    assert 0 < found.sent_of_full_ring <= 1 / 3
    assert found.imbalance < 1.1


def test_zigzag_shares_causal_work_out_evenly() -> None:
    shape = Shape(1, 1, 1, 4096, 4096, 64)
    zigzag, contiguous = (
        figures(Traffic(pattern_of("causal"), shape, Layout(4096, 4, partition)), "bfloat16").imbalance
        for partition in PARTITIONS
    )
    assert zigzag == pytest.approx(1.0, abs=0.01)
    assert contiguous > 1.6


def test_equal_rectangles_have_one_pattern() -> None:
    """Kernels are compiled for shapes of masks, not for places: that of causal attention, and that without a mask."""
    shape, layout = Shape(1, 1, 1, 4096, 4096, 64), Layout(4096, 8)
    traffic = Traffic(pattern_of("causal"), shape, layout)
    patterns = {cut(traffic.pattern, job.rectangle, shape).formula() for rank in range(8) for job in traffic.jobs(rank)}
    assert patterns == {"true", "kv <= q"}


def test_what_cannot_be_shared_out_is_said() -> None:
    with pytest.raises(SequenceTooShort, match="a sequence of 7 positions cannot be shared out in 8 chunks"):
        Layout(7, 4)
    shape = Shape(1, 1, 1, 64, 64, 64)
    with pytest.raises(NotParallel, match="its rows see keys behind them"):
        Traffic(pattern_of("block_table", causal=0), shape, Layout(64, 4))


def test_show_prints_what_ranks_send() -> None:
    call = ("--ranks", "4", "--shape", "1,32,8,65536,65536,128", "--set", "window=8192")
    shown = attncc("show", "sliding_window", *call)
    assert shown.status == 0
    assert "sliding_window on 4 ranks (zigzag, 8 chunks), rectangle by rectangle, merged by lse" in shown.out
    assert "192.0 MiB sent forward; full ring attention sends 768.0 MiB (25.0% of it)" in shown.out
    wrong = attncc("show", "causal", "--ranks", "4", "--shape", "1,1,1,8,64,64")
    assert (wrong.status, "TQ and TK are the same" in wrong.err) == (2, True)
