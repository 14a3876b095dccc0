"""Do the chosen units hold more of the attention than units drawn by chance, and no more than the best ones?

Keys drift slowly, the first ones draw attention from everywhere, and a few far ones answer one query: what real heads
show. On independent keys every score is as good as none.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from attncc.ir.selection import Always, Geometry, OptionValue, Top
from attncc.selectors.choose import select
from tests.selectors.cases import members, selection_of

LEN, DIM, UNIT, COUNT = 1024, 32, 16, 12
BLOCKS = Geometry(UNIT, UNIT, None)


def structured() -> tuple[Tensor, Tensor]:
    """query and key [1, 2, LEN, DIM]: drifting keys, a sink, needles; queries like the keys around them."""
    drawn = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 2, LEN, DIM, generator=drawn)
    key = torch.zeros_like(noise)
    for at in range(LEN):
        before = key[:, :, at - 1] if at else noise[:, :, 0]
        key[:, :, at] = 0.95 * before + (1 - 0.95**2) ** 0.5 * noise[:, :, at]
    query = 1.5 * key + 0.5 * torch.randn(key.shape, generator=drawn)
    axis = torch.zeros(DIM)
    axis[0] = 1.0
    query += 4.0 * axis
    key[:, :, :4] += 12.0 * axis
    for place in range(200, LEN, 97):
        needle = int(torch.randint(place - 150, (), generator=drawn))
        key[:, :, needle : needle + 4] = 2.0 * query[:, :, place - 1 : place]
    return query, key


def attention(query: Tensor, key: Tensor) -> Tensor:
    score: Tensor = query.double() @ key.double().transpose(-1, -2) * DIM**-0.5
    return score.masked_fill(torch.ones(LEN, LEN).triu(1).bool(), -torch.inf).softmax(-1)


def held(mass: Tensor, chosen: Tensor) -> float:
    """The mean attention that rows pay to chosen units, where `mass` is by row block and unit."""
    return float((mass * chosen).sum(-1).mean())


@pytest.mark.parametrize(
    ("name", "given"),
    [("pooled", {}), ("chunk_mean", {"queries": "max"}), ("page_bound", {}), ("antidiagonal", {"stride": 4})],
)
def test_recall_of_blocks(name: str, given: dict[str, OptionValue]) -> None:
    query, key = structured()
    mass = attention(query, key).unflatten(-1, (-1, UNIT)).sum(-1).unflatten(-2, (-1, UNIT)).mean(-2)
    lists = select(selection_of(name, BLOCKS, Top(COUNT), given), query, key, DIM**-0.5, {})
    best = torch.zeros_like(mass).scatter_(-1, mass.topk(COUNT).indices, 1.0)
    some = torch.rand(mass.shape, generator=torch.Generator().manual_seed(1)).tril()
    chance = torch.zeros_like(mass).scatter_(-1, some.topk(COUNT).indices, 1.0)
    recall = held(mass, members(lists, LEN // UNIT))
    assert held(mass, best) + 1e-9 >= recall >= held(mass, chance) + 0.7 * (held(mass, best) - held(mass, chance))


def test_recall_of_columns_and_diagonals() -> None:
    query, key = structured()
    weight = attention(query, key)
    columns = select(selection_of("last_queries", Geometry(1, None, None), Top(64)), query, key, DIM**-0.5, {})
    near = Always(first=1)
    diagonals = select(
        selection_of("last_queries", Geometry(1, None, 1), Top(64), always=near), query, key, DIM**-0.5, {}
    )
    distance = (torch.arange(LEN)[:, None] - torch.arange(LEN)).clamp(min=0)
    offsets = members(diagonals, LEN, 1 - LEN).flip(-1)[:, :, 0]
    kept = members(columns, LEN)[:, :, 0, None] | offsets[:, :, distance]
    drawn = torch.Generator().manual_seed(1)
    chance = torch.rand(LEN, generator=drawn).argsort()[:64]
    lucky = torch.isin(torch.arange(LEN), chance) | torch.isin(distance, chance)
    recall, by_chance = (float((weight * some).sum(-1).mean()) for some in (kept, lucky))
    assert recall > 0.6 > 2 * by_chance
