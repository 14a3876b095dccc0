"""Do queries see what the inputs for each token say: own documents, words, parts, anchors, valid keys?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import attncc
from tests.methods.retold import SIZES, Sequence, Truth, agrees
from tests.selectors.cases import Sizes

#: bool from (numbers of each input by position, q, kv), as the sources say it.
Sees = Callable[[dict[str, list[int]], int, int], bool]

CASES: dict[str, tuple[dict[str, tuple[int, int]], Sees]] = {
    "documents": ({"doc": (0, 4)}, lambda at, q, kv: kv <= q and at["doc"][q] == at["doc"][kv]),
    "anchor_attention": ({"doc": (0, 4)}, lambda at, q, kv: kv <= q and (kv == 0 or at["doc"][q] == at["doc"][kv])),
    "padded": ({"valid": (0, 2)}, lambda at, q, kv: kv <= q and at["valid"][kv] == 1),
    "learn_your_tokens": ({"word": (0, 9)}, lambda at, q, kv: at["word"][q] == at["word"][kv]),
    "prefix_lm_documents": (
        {"doc": (0, 3), "prefix": (0, 2)},
        lambda at, q, kv: at["doc"][q] == at["doc"][kv] and (at["prefix"][kv] == 1 or kv <= q),
    ),
    "set_based_prompting": (
        {"part": (-1, 3)},
        lambda at, q, kv: kv <= q and (at["part"][q] == -1 or at["part"][kv] in (0, at["part"][q])),
    ),
}


def numbers(limits: tuple[int, int], sizes: Sizes, shape: tuple[int, ...], sort: bool) -> torch.Tensor:
    drawn = torch.randint(*limits, (*shape, sizes.kv_len), generator=torch.Generator().manual_seed(4))
    return drawn.sort(-1).values if sort else drawn


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("sort", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_what_is_said_of_tokens(name: str, sizes: Sizes, shared: bool, sort: bool) -> None:
    limits, sees = CASES[name]
    shape = () if shared else (sizes.batch,)
    inputs = {one: numbers(limits[one], sizes, shape, sort) for one in limits}

    def told(one: Sequence) -> Truth:
        at = {name: (held if shared else held[one.batch]).tolist() for name, held in inputs.items()}
        pairs = [[sees(at, q, kv) for kv in range(one.keys)] for q in one.positions]
        return np.broadcast_to(np.array(pairs), (len(one.heads), *np.shape(pairs)))

    agrees(attncc.Pattern.load(name), sizes, told, **inputs)


def test_the_first_tokens_are_anchors_of_all_documents() -> None:
    doc = torch.arange(12) // 3
    query = torch.zeros(1, 1, 12, 8)
    mask = attncc.Pattern.load("anchor_attention", anchor=2).mask(query, query, doc=doc)[0, 0]
    assert mask[11].nonzero().flatten().tolist() == [0, 1, 9, 10, 11]
