"""Do the lists of a given table hold what it keeps, and are tables of other shapes refused?"""

from __future__ import annotations

import pytest
import torch

from attncc.errors import BadInput
from attncc.ir.selection import Geometry, Input
from attncc.selectors import pack
from attncc.selectors.tables import listed
from tests.selectors.cases import BLOCKS, DISTANCES, KEYS, Sizes, members, tensors

SIZES = Sizes(40, 75, batch=2)


def declared(geometry: Geometry) -> Input:
    return Input("kept", "block", "", geometry)


@pytest.mark.parametrize(("geometry", "rows", "units"), [(BLOCKS, 3, 10), (KEYS, 1, 75)])
@pytest.mark.parametrize("owners", [(1, 1), (1, 2), (2, 4)])
@pytest.mark.parametrize("most", [1, 2**22])
def test_lists_hold_the_table(
    monkeypatch: pytest.MonkeyPatch, geometry: Geometry, rows: int, units: int, owners: tuple[int, int], most: int
) -> None:
    monkeypatch.setattr(pack, "MOST_UNITS", most)
    table = torch.rand(*owners, rows, units, generator=torch.Generator().manual_seed(0)) < 0.3
    lists = listed(declared(geometry), table, *tensors(SIZES))
    assert torch.equal(members(lists, units), table)
    assert lists.entries.shape[0] == int(table.sum())
    assert listed(declared(geometry), table, *tensors(SIZES), capacity=2).overflow


def test_distances_change_their_sign() -> None:
    table = torch.zeros(1, 1, 1, 75, dtype=torch.bool)
    table[..., [0, 3, 74]] = True
    assert listed(declared(DISTANCES), table, *tensors(SIZES)).entries.tolist() == [-74, -3, 0]


@pytest.mark.parametrize("shape", [(3, 10), (3, 1, 3, 10), (1, 3, 3, 10), (1, 1, 4, 10), (1, 1, 3, 9)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match=r"input 'kept' is bool .* must be bool \[1 or 2, 1, 2 or 4, 3, 10\]"):
        listed(declared(BLOCKS), torch.ones(shape, dtype=torch.bool), *tensors(SIZES))


def test_other_types_are_refused() -> None:
    with pytest.raises(BadInput, match="input 'kept' is float32"):
        listed(declared(BLOCKS), torch.ones(1, 1, 3, 10), *tensors(SIZES))
