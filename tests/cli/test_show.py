"""Does `attncc show` draw what the mask keeps, and print every stage?"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from attncc import passes
from attncc.ir.schedule import Shape
from attncc.ir.tile import Tiling
from attncc.ref.evaluate import keep
from attncc.report.picture import draw
from attncc.report.work import work
from attncc.spec import load, lower
from tests.cli.run import attncc

DRAWN: tuple[tuple[str, dict[str, int]], ...] = (
    ("a_shape", {"sink": 16, "window": 70}),
    ("sliding_window", {"window": 33}),
    ("dense", {}),
)


@pytest.mark.parametrize(("name", "params"), DRAWN)
@pytest.mark.parametrize(("q_len", "kv_len"), [(160, 160), (50, 165), (1, 100)])
def test_the_picture_is_the_mask(name: str, params: dict[str, int], q_len: int, kv_len: int) -> None:
    pattern, tile = lower.lower(load.find(name), params), 16
    picture = draw(pattern, Shape(1, 1, 1, q_len, kv_len, 64), head=0, tile=tile)
    mask = keep(pattern, 1, q_len, kv_len)[0, 0]
    for row in picture.rows:
        start = row.q_first - (kv_len - q_len)
        stop = min(q_len, (row.q_first // tile + 1) * tile - (kv_len - q_len))
        for column, kind in enumerate(row.tiles):
            inside = mask[start:stop, column * tile : (column + 1) * tile]
            assert kind == ("empty" if not inside.any() else "full" if inside.all() else "partial")
    assert picture.work.kept == mask.sum()


@pytest.mark.parametrize("width", [1, 32])
def test_work_counts_every_head(width: int) -> None:
    pattern = lower.lower(load.find("duo_attention"), {})
    shape = Shape(2, 12, 12, 300, 300, 64)
    counted = work(passes.run(pattern, Tiling(64, width)), shape)
    assert counted.kept == keep(pattern, 12, 300, 300, 2).sum()
    assert counted.kept <= counted.visited


def test_default_is_the_picture() -> None:
    said = attncc("show", "a_shape", "--shape", "1,1,1,2048,2048,64", "--set", "window=256").out
    assert "a_shape(sink=128, window=256)" in said
    assert all(glyph in said for glyph in ("██", "▒▒", "··"))
    assert re.search(r"\d+ of 4,194,304 pairs kept", said)


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("spec", "pattern: sliding_window"),
        ("pattern", "keep    kv <= q and q - kv < window"),
        ("plan", "full, nothing to check"),
        ("cpu", "#include"),
        ("triton", "@triton.jit"),
    ],
)
def test_every_stage_prints(stage: str, said: str) -> None:
    outcome = attncc("show", "sliding_window", "--stage", stage)
    assert outcome.status == 0
    assert said in outcome.out


def test_assembly_for_a_gpu_that_is_not_here() -> None:
    pytest.importorskip("triton")
    outcome = attncc("show", "causal", "--stage", "ptx", "--target", "sm_90", "--shape", "1,1,1,512,512,64")
    assert outcome.status == 0
    assert ".target sm_90" in outcome.out


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_same_image_gives_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    images = [tmp_path / f"{index}.{suffix}" for index in range(2)]
    for image in images:
        assert attncc("show", "causal", "--shape", "1,1,1,512,512,64", "--image", str(image)).status == 0
    first, second = (image.read_bytes() for image in images)
    assert first == second


def test_doctor_says_what_is_here() -> None:
    assert "C compiler" in attncc("doctor").out
    (found,) = json.loads(attncc("doctor", "--json").out)
    assert found["show"] is True


def test_patterns_are_listed() -> None:
    found = json.loads(attncc("patterns", "--json").out)
    assert {"causal", "a_shape"} <= {row["pattern"] for row in found}
