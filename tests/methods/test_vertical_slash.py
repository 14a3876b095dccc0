"""Does vertical_slash see the columns and diagonals that its source chooses, and how much more does its kernel see?"""

from __future__ import annotations

import numpy as np
import pytest

import attncc
from tests.methods.retold import SIZES, Sequence, Truth, agrees, best, best_with, softmax
from tests.selectors.cases import Sizes


def scores(one: Sequence, head: int, last: int) -> tuple[dict[int, float], dict[int, float]]:
    """The attention that the last queries pay, by key and by distance."""
    column, diagonal = dict.fromkeys(range(one.keys), 0.0), dict.fromkeys(range(one.keys), 0.0)
    for q in one.positions[-last:]:
        for kv, weight in enumerate(softmax(one.scores(head, q)[: q + 1])):
            column[kv] += weight
            diagonal[q - kv] += weight
    return column, diagonal


def seen(one: Sequence, columns: list[set[int]], distances: list[set[int]], tile: int) -> Truth:
    """Along a diagonal, a query sees what any position of its tile would."""

    def keeps(head: int, q: int, kv: int) -> bool:
        first = q // tile * tile
        return kv in columns[head] or any(first + row - kv in distances[head] for row in range(tile))

    return one.kept(keeps)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("vertical", "slash"), [(4, 3), (0, 0), (100, 2)])
def test_what_is_always_in_comes_on_top(sizes: Sizes, vertical: int, slash: int) -> None:
    params = {"vertical": vertical, "slash": slash, "first": 3, "near": 4, "last": 16, "tile": 8}

    def told(one: Sequence) -> Truth:
        found = [scores(one, head, 16) for head in one.heads]
        columns = [best_with(column, set(range(3)), 3 + vertical) for column, _ in found]
        distances = [best_with(diagonal, set(range(4)), 4 + slash) for _, diagonal in found]
        return seen(one, columns, distances, 8)

    agrees(attncc.Pattern.load("vertical_slash", **params), sizes, told)


@pytest.mark.parametrize(("length", "vertical", "slash"), [(70, 4, 3), (150, 40, 110), (130, 10, 60)])
def test_as_published_it_takes_its_place_of_the_budget(length: int, vertical: int, slash: int) -> None:
    """30 columns, 100 distances, the last 64 queries, at least 30 and 50; the budget picks from the forced ones first.

    Of 100 forced distances and a budget below, the source keeps any: here all stay.
    """

    def told(one: Sequence) -> Truth:
        columns, distances = [], []
        for head in one.heads:
            column, diagonal = scores(one, head, 64)
            column |= dict.fromkeys(range(min(30, length)), np.inf)
            diagonal |= dict.fromkeys(range(min(100, length)), np.inf)
            columns.append(best(column, min(length, max(vertical, 30))))
            near = set(range(min(100, length)))
            distances.append(near | best(diagonal, min(length, max(slash, 50))))
        return seen(one, columns, distances, 64)

    pattern = attncc.Pattern.load("vertical_slash", vertical=vertical, slash=slash, minference_exact=1)
    agrees(pattern, Sizes(length, length, q_heads=2, kv_heads=1, head_dim=16), told)


def walked(distances: set[int], first: int, tile: int) -> set[int]:
    """The keys of the blocks that the source's builder lists for one tile of queries.

    A distance is a range of `tile` keys that ends no earlier than `tile`; a range that reaches further than the
    current one, but begins in it or at its end, makes it longer by a whole step.
    """
    stop = first + tile
    ends = [max(stop - one, tile) for one in sorted(distances, reverse=True) if one < stop]
    found: set[int] = set()
    begin, end = ends[0] - tile, ends[0]
    for one in ends[1:]:
        if one > end + tile:
            found |= set(range(begin, end))
            begin, end = one - tile, one
        elif one > end:
            end += tile
    return found | set(range(begin, end))


@pytest.mark.parametrize("seed", range(20))
def test_the_kernel_of_the_source_sees_more_at_the_first_key_and_at_the_ends_of_its_steps(seed: int) -> None:
    draw = np.random.default_rng(seed)
    tile = 16
    for first in range(0, 256, tile):
        distances = {0, *draw.integers(0, 256, draw.integers(0, 12)).tolist()}
        exact = {first + row - one for one in distances for row in range(tile)} & set(range(first + tile))
        more = walked(distances, first, tile) - exact
        assert exact <= walked(distances, first, tile)
        assert all(kv < tile or any(kv - back in exact for back in range(1, tile)) for kv in more)


def test_the_kernel_of_the_source_sees_the_same_where_diagonals_are_apart() -> None:
    tile, first = 16, 160
    distances = {0, 40, 100, 144}
    assert walked(distances, first, tile) == {first + row - one for one in distances for row in range(tile)}
