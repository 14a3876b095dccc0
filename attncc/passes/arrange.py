"""Arranges sets of keys as a nest of strips and intervals: all in one, or each piece by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import islpy as isl

from attncc.passes.generator import Generator
from attncc.passes.nest import Interval, Nest, Uneven


def arrange(
    sets: Mapping[str, isl.Set], params: Mapping[str, int], sizes: isl.Set, strip: int | None, apart: bool
) -> Nest:
    """A nest that visits every key of every set once; strips are `strip` keys wide.

    All sets are visited together, in ascending order; or, if `apart`, each disjoint piece of each set by itself, in
    strips only where it is no single run: shorter where pieces interleave (a local window among strided blocks). Raises
    Uneven when keys form no runs.
    """
    present = {label: keys for label, keys in sets.items() if not keys.intersect_params(sizes.params()).is_empty()}
    if not apart:
        return Generator(present, params, sizes, strip).run() if present else ()
    nodes = [
        node
        for label, keys in present.items()
        for piece in _pieces(keys, params, sizes)
        for node in _alone({label: piece}, params, sizes, strip)
    ]
    return tuple(sorted(nodes, key=lambda node: isinstance(node, Interval)))


def _pieces(keys: isl.Set, params: Mapping[str, int], sizes: isl.Set) -> Iterator[isl.Set]:
    """Disjoint pieces of a set; those that are single runs stay whole and are taken out of the others."""
    pieces = [isl.Set.from_basic_set(piece) for piece in keys.coalesce().get_basic_sets()]
    taken = keys - keys
    for piece in sorted(pieces, key=lambda piece: not _is_run(piece, params, sizes)):
        rest = (piece - taken).coalesce()
        taken = taken | piece
        yield from (isl.Set.from_basic_set(part) for part in rest.make_disjoint().coalesce().get_basic_sets())


def _is_run(piece: isl.Set, params: Mapping[str, int], sizes: isl.Set) -> bool:
    try:
        return bool(Generator({"keys": piece}, params, sizes, None).run())
    except Uneven:
        return False


def _alone(piece: Mapping[str, isl.Set], params: Mapping[str, int], sizes: isl.Set, strip: int | None) -> Nest:
    try:
        return Generator(piece, params, sizes, None).run()
    except Uneven:
        return Generator(piece, params, sizes, strip).run()
