"""Do methods with a budget keep more of the attention of structured calls than chance, and no more than the best?"""

from __future__ import annotations

import pytest
import torch

import attncc
from tests.selectors.test_recall import LEN, attention, structured

METHODS: dict[str, dict[str, int]] = {
    "vertical_slash": {"vertical": 48, "slash": 32, "first": 4, "near": 32, "tile": 1},
    "block_sparse": {"block": 16, "top": 10},
    "flex_prefill": {"block": 16, "share": 500},
    "xattention": {"block": 16, "stride": 4, "share": 700},
    "hip": {"dense_below": 0, "sink": 8, "window": 32, "top": 12, "rows": 16},
    "hip_tree": {"sink": 8, "window": 32, "keep": 96, "rows": 16},
    "squeezed_attention": {"rows": 16, "top": 96, "local": 32},
    "token_select": {"rows": 16, "top": 96, "sink": 4, "local": 32},
    "inf_llm": {"rows": 16, "block": 16, "top": 6, "sink": 4, "local": 32},
    "moba": {"chunk": 16, "top": 8},
    "quest": {"page": 16, "top": 8},
    "nsa_selected": {"block": 16, "top": 8},
    "lserve_decode": {"full_heads": 2, "page": 16, "top": 8},
    "hash_neighbours": {"rows": 16, "top": 96, "local": 32},
    "landmark_retrieval": {"block": 16, "top": 8},
}


@pytest.mark.parametrize("name", METHODS)
def test_the_mass_kept_is_between_chance_and_the_best(name: str) -> None:
    query, key = structured()
    mass = attention(query, key)
    kept = attncc.Pattern.load(name, **METHODS[name]).mask(query, key)
    visible = torch.ones(LEN, LEN, dtype=torch.bool).tril()
    budget = kept.sum(-1, keepdim=True)
    ranked = mass.sort(-1, descending=True).values.cumsum(-1)
    best = ranked.gather(-1, (budget - 1).clamp(min=0)).mean()
    chance = (budget / visible.sum(-1, keepdim=True)).mean()
    recall = (mass * kept).sum(-1).mean()
    assert best + 1e-9 >= recall > chance + 0.25 * (best - chance), (float(chance), float(recall), float(best))
