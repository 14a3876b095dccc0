"""Does every shipped pattern keep the pairs that its paper says? Each is told again, key by key, in plain Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from attncc.ir.expr import given
from attncc.ir.pattern import Alibi, Softcap
from attncc.ref.evaluate import keep
from attncc.spec.load import find, shipped
from attncc.spec.lower import lower

HEADS = 4
#: (q_len, kv_len): square, one chunk of a prefill, one decode step, more queries than keys, a single pair.
SIZES = ((24, 24), (7, 24), (1, 24), (30, 24), (1, 1))


@dataclass(frozen=True, slots=True)
class Told:
    """`keys(q, head, kv_len)` are the keys that query q sees; those outside [0, kv_len) do not matter."""

    keys: Callable[[int, int, int], set[int]]
    params: Mapping[str, int] = field(default_factory=dict)


def span(first: int, last: int) -> set[int]:
    """Both included."""
    return set(range(first, last + 1))


def near(centre: int, radius: int, size: int) -> set[int]:
    """2 * radius + 1 places around `centre`, pushed inside [0, size)."""
    start = min(max(centre - radius, 0), max(size - 2 * radius - 1, 0))
    return span(start, start + 2 * radius)


def square(q: int, size: int, radius: int, unit: int) -> set[int]:
    """The tokens of the units near the unit of q on a board of size x size units."""
    row, column = divmod(q // unit, size)
    units = [size * r + c for r in near(row, radius, size) for c in near(column, radius, size) if c < size]
    return {unit * at + inside for at in units for inside in range(unit)}


def diffusion(q: int, block: int, clean: int) -> set[int]:
    start = q // block * block
    if q < clean:
        return (span(start, start + block - 1) & span(0, clean - 1)) | span(clean, clean + start - 1)
    return span(clean, clean + ((q - clean) // block + 1) * block - 1)


def group(q: int, size: int, shift: int) -> set[int]:
    start = (q + shift) // size * size - shift
    return span(start, min(q, start + size - 1))


def strided(q: int, head: int) -> set[int]:
    """longgen with blocks of 2, 2 recent ones, every 3rd of the others, moved by the head plus 1."""
    return {k for k in span(0, q) if q // 2 - k // 2 < 2 or (k // 2 + head + 1) % 3 == 0}


ALL = span(0, 100)

TOLD: Mapping[str, Told] = {
    "a_shape": Told(lambda q, h, n: span(0, min(q, 2)) | span(q - 3, q), {"sink": 3, "window": 4}),
    "alibi": Told(lambda q, h, n: span(0, q)),
    "block_diffusion": Told(lambda q, h, n: diffusion(q, 4, 12), {"block": 4, "clean": 12}),
    "causal": Told(lambda q, h, n: span(0, q)),
    "dense": Told(lambda q, h, n: ALL),
    "dilated": Told(lambda q, h, n: set(range(q - 6, q + 7, 3)), {"one_side": 2, "dilation": 3}),
    "dilated_causal": Told(lambda q, h, n: {q, q - 3, q - 6}, {"window": 3, "dilation": 3}),
    "duo_attention": Told(
        lambda q, h, n: span(0, q) if h < 2 else span(0, min(q, 1)) | span(q - 4, q),
        {"full_heads": 2, "sink": 2, "recent": 5},
    ),
    "gemma2": Told(lambda q, h, n: span(q - 4, q), {"window": 5}),
    "lm_infinite": Told(lambda q, h, n: span(0, min(q, 2)) | span(q - 3, q), {"n_global": 3, "n_local": 4}),
    "longformer": Told(
        lambda q, h, n: ALL if q < 2 else {0, 1} | span(q - 3, q + 3), {"one_side": 3, "global_tokens": 2}
    ),
    "longgen": Told(lambda q, h, n: strided(q, h), {"block": 2, "local": 2, "stride": 3, "step": 1, "offset": 1}),
    "longlora": Told(lambda q, h, n: group(q, 8, 0 if h < 2 else 4), {"group": 8, "shift_from_head": 2}),
    "gpt_oss": Told(lambda q, h, n: span(q - 4, q), {"window": 5}),
    "landmark": Told(lambda q, h, n: span(0, q)),
    "lserve": Told(
        lambda q, h, n: span(0, q) if h < 1 else span(0, min(q, 1)) | span(q - 4, q),
        {"full_heads": 1, "sink": 2, "local": 5},
    ),
    "masformer": Told(lambda q, h, n: span(q // 5 * 5, q), {"block": 5}),
    "natten_1d": Told(lambda q, h, n: near(q, 3, n), {"radius": 3}),
    "natten_2d": Told(lambda q, h, n: square(q, 5, 1, 1), {"height": 5, "width": 5, "radius": 1}),
    "phenaki": Told(lambda q, h, n: span(0, q // 6 * 6 + 5), {"frame": 6}),
    "prefix_lm": Told(lambda q, h, n: span(0, max(q, 4)), {"prefix": 5}),
    "sat": Told(lambda q, h, n: span(0, q + 2), {"lookahead": 2}),
    "sliding_tile": Told(lambda q, h, n: square(q, 4, 1, 2), {"tile": 2, "height": 4, "width": 4, "radius": 1}),
    "sliding_window": Told(lambda q, h, n: span(q - 4, q), {"window": 5}),
    "sliding_window_bidirectional": Told(lambda q, h, n: span(q - 4, q + 2), {"left": 4, "right": 2}),
    "smith": Told(lambda q, h, n: span(q // 5 * 5, q // 5 * 5 + 4), {"block": 5}),
    "softplus_attention": Told(lambda q, h, n: span(0, q)),
    "streaming_llm": Told(lambda q, h, n: span(0, min(q, 2)) | span(q - 3, q), {"sink": 3, "recent": 4}),
    "tri_shape": Told(
        lambda q, h, n: span(0, q) if q >= n - 2 else span(0, min(q, 1)) | span(q - 3, q),
        {"sink": 2, "window": 4, "last": 2},
    ),
}


def is_static(name: str) -> bool:
    """Whether its mask depends on positions only; the others are told in tests/methods."""
    bound = lower(find(name))
    return not given(bound.mask)


STATIC = tuple(filter(is_static, shipped()))


def test_every_shipped_pattern_is_told() -> None:
    assert set(STATIC) == set(TOLD)


@pytest.mark.parametrize("name", STATIC)
@pytest.mark.parametrize(("q_len", "kv_len"), SIZES)
def test_keeps_the_pairs_of_its_paper(name: str, q_len: int, kv_len: int) -> None:
    told = TOLD[name]
    kept = keep(lower(find(name), told.params), HEADS, q_len, kv_len)[0]
    wanted = np.zeros((HEADS, q_len, kv_len), dtype=bool)
    for head, row in np.ndindex(HEADS, q_len):
        keys = told.keys(row + kv_len - q_len, head, kv_len)
        wanted[head, row, [key for key in keys if 0 <= key < kv_len]] = True
    position = np.arange(q_len) + kv_len - q_len
    inside = (position >= 0) if name in ("natten_2d", "sliding_tile") else slice(None)
    assert np.array_equal(kept[:, inside], wanted[:, inside])


@pytest.mark.parametrize("name", shipped())
def test_says_what_it_is_and_where_from(name: str) -> None:
    spec = find(name)
    assert spec.name == name
    assert spec.about.endswith(".")
    assert "arXiv" in spec.source or "github.com" in spec.source
    assert all(param.about for param in spec.params)
    assert Path(spec.origin.name).stem == name


def test_the_full_layers_of_masformer_are_causal() -> None:
    full = keep(lower(find("masformer"), {"block": 5, "full": 1}), 1, 24, 24)
    assert np.array_equal(full, keep(lower(find("causal")), 1, 24, 24))


def test_longlora_does_not_leak_across_the_ends() -> None:
    kept = keep(lower(find("longlora"), {"group": 8, "shift_from_head": 2}), HEADS, 24, 24)[0]
    assert not kept[:, :4, 20:].any()
    assert not kept[:, 20:, :4].any()


def test_score_rules_of_the_shipped_patterns() -> None:
    assert lower(find("alibi")).score == (Alibi(),)
    assert lower(find("gemma2")).score == (Softcap(50.0),)
