"""Do kernels attend as the reference does with the same choice, whatever the lengths, heads and widths?"""

from __future__ import annotations

import pytest
import torch

import attncc
from tests.ops.samples import distance

METHODS: dict[str, dict[str, int]] = {
    "vertical_slash": {"vertical": 20, "slash": 10, "first": 4, "near": 8},
    "block_sparse": {"top": 3},
    "hip": {"dense_below": 0, "sink": 16, "window": 64, "top": 8},
    "moba": {"chunk": 64, "top": 2},
    "squeezed_attention": {"top": 40, "local": 16},
}

#: batch, q_heads, kv_heads, q_len, kv_len, head_dim: each length, group and width of the ladder, a chunk, one query.
SHAPES = (
    (1, 2, 2, 1, 1, 64),
    (3, 4, 1, 63, 63, 80),
    (1, 8, 1, 64, 64, 96),
    (1, 4, 1, 65, 65, 128),
    (3, 2, 2, 127, 127, 64),
    (1, 8, 1, 40, 1000, 80),
    (1, 4, 1, 1, 1000, 128),
)


#: Every shape, and every method at least once: each pair builds a kernel.
PAIRS = tuple(zip(SHAPES, [*METHODS, "vertical_slash", "hip"], strict=True))


@pytest.mark.parametrize(("shape", "name"), PAIRS, ids=str)
def test_a_kernel_given_a_choice_is_the_reference_given_it(shape: tuple[int, ...], name: str) -> None:
    batch, q_heads, kv_heads, q_len, kv_len, head_dim = shape
    draw = torch.Generator().manual_seed(sum(shape))
    query = torch.randn(batch, q_heads, q_len, head_dim, generator=draw)
    key, value = torch.randn(2, batch, kv_heads, kv_len, head_dim, generator=draw)
    pattern = attncc.Pattern.load(name, **METHODS[name])
    chosen = pattern.select(query, key)
    out, lse = attncc.attention(query, key, value, pattern, selection=chosen, return_lse=True)
    exact = (query.double(), key.double(), value.double())
    wanted, wanted_lse = attncc.reference(*exact, pattern, selection=chosen, return_lse=True)
    narrow = query @ key.repeat_interleave(q_heads // kv_heads, 1).transpose(-1, -2) * head_dim**-0.5
    narrow = narrow.masked_fill(~pattern.mask(query, key, selection=chosen), -torch.inf)
    plain = narrow.softmax(-1) @ value.repeat_interleave(q_heads // kv_heads, 1)
    assert distance(out, wanted) <= 2 * distance(plain, wanted) + 1e-6
    assert distance(lse, wanted_lse) <= 2 * distance(narrow.logsumexp(-1), wanted_lse) + 1e-6
    assert out.isfinite().all()
