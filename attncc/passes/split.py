"""Splits the keys of a query tile, in closed form, into those no row sees, some rows see, and every row sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import islpy as isl

from attncc.ir.expr import And, BoolExpr, Compare, Var, names
from attncc.passes.sets import Sets

#: isl stops with an error after this many steps, so that a hostile mask costs seconds and not the machine.
STEPS = 2_000_000


@dataclass(frozen=True, slots=True)
class Split:
    """Sets of key units of one query tile, symbolic in the sizes and in the first and last row of the tile.

    `mask` is the mask together with `in_bounds` (kv < kv_len). `pairs` are all { [q, kv] } of a row of the tile and a
    key from 0 on, `keep` those that the mask keeps. `units` maps { [kv] -> [unit] }. `full` and `partial` are disjoint
    sets { [unit] }.
    """

    sets: Sets
    mask: BoolExpr
    in_bounds: BoolExpr
    sizes: isl.Set
    pairs: isl.Set
    keep: isl.Set
    units: isl.Map
    full: isl.Set
    partial: isl.Set


def split(mask: BoolExpr, params: Mapping[str, int], block_m: int, width: int) -> Split:
    """The split of a folded mask for query tiles of `block_m` rows and units of `width` keys."""
    context = isl.Context()
    context.set_max_operations(STEPS)
    mentioned = names(mask)
    symbols = ["q_first", "q_last", "kv_len", *(name for name in ("q_len", "head", "batch") if name in mentioned)]
    declared = f"[{', '.join(symbols)}] ->"
    known = " and ".join(_known(symbols, block_m))
    sizes = isl.Set.read_from_str(context, f"{declared} {{ : {known} }}")
    pairs = isl.Set.read_from_str(context, f"{declared} {{ [q, kv] : q_first <= q <= q_last and 0 <= kv and {known} }}")
    units = isl.Map.read_from_str(context, f"{{ [kv] -> [unit] : {width} unit <= kv < {width} unit + {width} }}")
    in_bounds = Compare("<", Var("kv"), Var("kv_len"))
    bounded = And(mask, in_bounds)
    sets = Sets(pairs.get_space(), params)
    keep = (sets.points(bounded) & pairs).coalesce()
    touched = _units_of(keep, units)
    missed = _units_of((pairs - keep).coalesce(), units)
    full, partial = (touched - missed).coalesce(), (touched & missed).coalesce()
    return Split(sets, bounded, in_bounds, sizes, pairs, keep, units, full, partial)


def _known(symbols: list[str], block_m: int) -> list[str]:
    """What holds of every query tile that has a row, see TilePlan; in isl's notation."""
    same_tile = f"floor(q_first / {block_m}) = floor(q_last / {block_m})"
    known = ["kv_len >= 1", "q_first <= q_last < kv_len", same_tile if block_m > 1 else "q_first = q_last"]
    if "q_len" in symbols:
        known.append("q_len >= 1 and q_first >= kv_len - q_len")
    return known + [f"{name} >= 0" for name in ("head", "batch") if name in symbols]


def _units_of(pairs: isl.Set, units: isl.Map) -> isl.Set:
    return pairs.project_out(isl.dim_type.set, 0, 1).apply(units).coalesce()
