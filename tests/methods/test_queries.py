"""Does each query see the chunks and pages that the methods name for it?"""

from __future__ import annotations

import numpy as np
import pytest

import attncc
from tests.methods.retold import SIZES, Sequence, Truth, agrees, best_with, softmax
from tests.selectors.cases import Sizes

SIZE = 8


def unit_keys(one: Sequence, head: int, unit: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return one.held(head, slice(unit * SIZE, unit * SIZE + SIZE))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("top", [1, 3])
def test_moba(sizes: Sizes, top: int) -> None:
    """The own chunk always, and of those before it the ones whose mean key the query likes best."""

    def told(one: Sequence) -> Truth:
        chosen = {}
        for head in one.heads:
            for q in one.positions:
                earlier = range(q // SIZE)
                likes = {unit: float(one.asked(head, q) @ unit_keys(one, head, unit).mean(0)) for unit in earlier}
                chosen[head, q] = best_with(likes, {q // SIZE}, top)
        return one.kept(lambda head, q, kv: kv // SIZE in chosen[head, q])

    agrees(attncc.Pattern.load("moba", chunk=SIZE, top=top), sizes, told)


def bound(one: Sequence, head: int, q: int, keys: slice) -> float:
    """Channel by channel, the larger product with the smallest and the largest number of the keys."""
    asked, held = one.asked(head, q), one.held(head, keys)
    return float(np.maximum(asked * held.min(0), asked * held.max(0)).sum())


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("top", [1, 5])
def test_quest(sizes: Sizes, top: int) -> None:
    """The last page, and the pages with the largest bounds: three pages at least."""

    def told(one: Sequence) -> Truth:
        chosen = {}
        for head in one.heads:
            for q in one.positions:
                pages = range(q // SIZE)
                bounds = {page: bound(one, head, q, slice(page * SIZE, page * SIZE + SIZE)) for page in pages}
                chosen[head, q] = best_with(bounds, {q // SIZE}, max(3, top))
        return one.kept(lambda head, q, kv: kv // SIZE in chosen[head, q])

    agrees(attncc.Pattern.load("quest", page=SIZE, top=top), sizes, told)


@pytest.mark.parametrize("sizes", SIZES)
def test_a_bound_is_no_less_than_any_product_of_its_page(sizes: Sizes) -> None:
    query = np.random.default_rng(0).normal(size=(sizes.q_heads, sizes.q_len, 8))
    one = Sequence(query, np.random.default_rng(1).normal(size=(sizes.kv_heads, sizes.kv_len, 8)))
    for head in one.heads:
        for q in one.positions[::5]:
            for first in range(0, one.keys, SIZE):
                page = slice(first, first + SIZE)
                assert (one.scores(head, q)[page] <= bound(one, head, q, page) + 1e-12).all()


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("parts", [1, 4])
def test_lserve_decode(sizes: Sizes, parts: int) -> None:
    """Some heads see sinks and a window; the others the last page, and those whose best part has the largest bound
    for any of the query heads that share it."""
    full, sink, local, part = sizes.q_heads // 2, 3, 9, SIZE // parts

    def told(one: Sequence) -> Truth:
        chosen = {}
        for head in one.heads:
            sharing = range(head // one.group * one.group, head // one.group * one.group + one.group)
            for q in one.positions:
                bounds = {
                    page: max(
                        bound(one, other, q, slice(first, first + part))
                        for first in range(page * SIZE, page * SIZE + SIZE, part)
                        for other in sharing
                    )
                    for page in range(q // SIZE)
                }
                chosen[head, q] = best_with(bounds, {q // SIZE}, 4)

        def keeps(head: int, q: int, kv: int) -> bool:
            return kv // SIZE in chosen[head, q] if head < full else kv < sink or q - kv < local

        return one.kept(keeps)

    params = {"full_heads": full, "page": SIZE, "parts": parts, "top": 4, "sink": sink, "local": local}
    agrees(attncc.Pattern.load("lserve_decode", **params), sizes, told)


def test_a_page_of_lserve_is_four_pages_of_sixteen_keys() -> None:
    params = attncc.Pattern.load("lserve_decode").params
    assert params["page"] // params["parts"] == 16
    assert params["page"] * params["top"] == 4096


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("top", [2, 5])
def test_nsa_selected(sizes: Sizes, top: int) -> None:
    """The attention of the query's group to the mean keys of whole blocks; the first, the own and the one before it."""

    def told(one: Sequence) -> Truth:
        chosen = {}
        for head in one.heads:
            sharing = range(head // one.group * one.group, head // one.group * one.group + one.group)
            for q in one.positions:
                own, whole = q // SIZE, (q + 1) // SIZE
                shares = dict.fromkeys(range(own + 1), 0.0)
                for other in sharing if whole else ():
                    means = np.array([unit_keys(one, other, unit).mean(0) for unit in range(whole)])
                    for unit, share in enumerate(softmax(means @ one.asked(other, q))):
                        shares[unit] += share
                chosen[head, q] = best_with(shares, {0, max(0, own - 1), own}, top)
        return one.kept(lambda head, q, kv: kv // SIZE in chosen[head, q])

    agrees(attncc.Pattern.load("nsa_selected", block=SIZE, top=top), sizes, told)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("top", [1, 4])
def test_triforce(sizes: Sizes, top: int) -> None:
    """One choice for all queries of a call, by their mean."""

    def told(one: Sequence) -> Truth:
        chosen = {}
        for head in one.heads:
            query = np.mean([one.asked(head, q) for q in one.positions], 0)
            chunks = range(-(-one.keys // SIZE))
            likes = {chunk: float(query @ unit_keys(one, head, chunk).mean(0)) for chunk in chunks}
            chosen[head] = best_with(likes, {0, chunks[-1]}, top)
        return one.kept(lambda head, q, kv: kv // SIZE in chosen[head])

    agrees(attncc.Pattern.load("triforce", chunk=SIZE, top=top), sizes, told)
