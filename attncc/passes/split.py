"""Splits the keys of a query tile, in closed form, into those no row sees, some rows see, and every row sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import islpy as isl

from attncc.ir.expr import TRUE, ZERO, And, BoolExpr, Compare, Var, names
from attncc.ir.fold import fold
from attncc.passes.sets import Sets, truth

IN_BOUNDS = Compare("<", Var("kv"), Var("kv_len"))

#: What isl may spend on a question of yes or no, in its own steps.
STEPS = 300_000


@dataclass(frozen=True, slots=True)
class Split:
    """Sets of keys of one query tile, symbolic in the sizes and in the first and last row of the tile.

    `sizes` is what holds of every tile. `pairs` are all { [q, kv] } of a row of the tile and a key from 0 on, `keep`
    those that the mask keeps. `full` and `partial` are disjoint sets { [kv] }; they end at kv_len only where the mask
    itself has no end, since keys from kv_len on are easily cut off a run.
    """

    sets: Sets
    mask: BoolExpr
    sizes: isl.Set
    pairs: isl.Set
    keep: isl.Set
    full: isl.Set
    partial: isl.Set


@dataclass(slots=True)
class Splits:
    """The splits of one folded mask for query tiles of `block_m` rows, each made once: most forms of its loops begin
    with the same one."""

    mask: BoolExpr
    block_m: int
    _made: dict[tuple[tuple[tuple[str, int], ...], bool, int], Split | isl.Error] = field(default_factory=dict)

    def at(self, params: Mapping[str, int], aligned: bool, steps: int) -> Split:
        """The split for these values, after which as many steps are left as before; raises as `split` does."""
        which = (tuple(params.items()), aligned, steps)
        if which not in self._made:
            try:
                self._made[which] = split(self.mask, params, self.block_m, aligned, steps)
            except isl.Error as error:
                self._made[which] = error
        match self._made[which]:
            case Split(pairs=pairs) as made:
                pairs.get_ctx().reset_operations()
                return made
            case error:
                raise error


def split(mask: BoolExpr, params: Mapping[str, int], block_m: int, aligned: bool, steps: int) -> Split:
    """The split of a folded mask for query tiles of `block_m` rows. isl.Error when it takes more than `steps`."""
    sizes, pairs = _tile(mask, block_m, aligned, steps)
    sets = Sets(pairs.get_space(), params)
    found = _split(mask, sets, sizes, pairs)
    if (found.full | found.partial).is_bounded():
        return found
    return _split(And(mask, IN_BOUNDS), sets, sizes, pairs)


def touched(
    mask: BoolExpr, params: Mapping[str, int], block_m: int, aligned: bool, steps: int
) -> tuple[isl.Set, isl.Set]:
    """What holds of every query tile, and the keys before kv_len that some row of it sees, full or not."""
    sizes, pairs = _tile(mask, block_m, aligned, steps)
    keep = Sets(pairs.get_space(), params).points(And(mask, IN_BOUNDS)) & pairs
    return sizes, _keys_of(keep.coalesce()).intersect_params(sizes.params())


def possible(mask: BoolExpr, params: Mapping[str, int]) -> bool:
    """Whether a mask over positions and sizes may keep a pair of any call; true where finding out takes too long."""
    try:
        sizes, pairs = _tile(mask, 1, False, STEPS)
        keep = Sets(pairs.get_space(), params).points(And(mask, IN_BOUNDS)) & pairs
        return not keep.intersect_params(sizes.params()).is_empty()
    except isl.Error:
        return True


def sizes_of(mask: BoolExpr, params: Mapping[str, int]) -> BoolExpr:
    """A condition on q_len and kv_len that holds where a mask keeps any pair; always true where finding out takes too
    long."""
    try:
        return _sizes_of(mask, params)
    except isl.Error:
        return TRUE


def _sizes_of(mask: BoolExpr, params: Mapping[str, int]) -> BoolExpr:
    sizes, pairs = _tile(And(mask, Compare(">=", Var("q_len"), ZERO)), 1, False, STEPS)
    keep = (Sets(pairs.get_space(), params).points(And(mask, IN_BOUNDS)) & pairs).intersect_params(sizes.params())
    found = keep.params()
    for name in ("q_first", "q_last", "head", "batch"):
        at = found.find_dim_by_name(isl.dim_type.param, name)
        found = found if at < 0 else found.project_out(isl.dim_type.param, at, 1)
    known = isl.Set.read_from_str(found.get_ctx(), "[q_len, kv_len] -> { : q_len >= 1 and kv_len >= 1 }")
    found = found.coalesce().gist_params(known.params())
    return fold(truth(isl.AstBuild.from_context(known.params()).expr_from_set(found)))


def _tile(mask: BoolExpr, block_m: int, aligned: bool, steps: int) -> tuple[isl.Set, isl.Set]:
    """What holds of every query tile, and the pairs of its rows and keys."""
    context = isl.Context()
    context.set_max_operations(steps)
    mentioned = names(mask)
    symbols = ["q_first", "q_last", "kv_len", *(name for name in ("q_len", "head", "batch") if name in mentioned)]
    declared = f"[{', '.join(symbols)}] ->"
    known = " and ".join(_known(symbols, block_m, aligned))
    sizes = isl.Set.read_from_str(context, f"{declared} {{ : {known} }}")
    pairs = isl.Set.read_from_str(context, f"{declared} {{ [q, kv] : q_first <= q <= q_last and 0 <= kv and {known} }}")
    return sizes, pairs


def _split(mask: BoolExpr, sets: Sets, sizes: isl.Set, pairs: isl.Set) -> Split:
    keep = (sets.points(mask) & pairs).coalesce()
    seen, missed = _keys_of(keep), _keys_of((pairs - keep).coalesce())
    full, partial = (seen - missed).coalesce(), (seen & missed).coalesce()
    return Split(sets, mask, sizes, pairs, keep, full, partial)


def _known(symbols: list[str], block_m: int, aligned: bool) -> list[str]:
    """What holds of every query tile, see TilePlan; in isl's notation."""
    if aligned:
        known = ["q_first < kv_len", f"q_first mod {block_m} = 0", f"q_last = q_first + {block_m - 1}"]
    else:
        same_tile = f"floor(q_first / {block_m}) = floor(q_last / {block_m})"
        known = ["q_first <= q_last < kv_len", same_tile if block_m > 1 else "q_first = q_last"]
    known.append("kv_len >= 1")
    if "q_len" in symbols:
        known.append("q_len >= 1 and q_first >= kv_len - q_len" if not aligned else "q_len >= 1")
    return known + [f"{name} >= 0" for name in ("head", "batch") if name in symbols]


def _keys_of(pairs: isl.Set) -> isl.Set:
    return pairs.project_out(isl.dim_type.set, 0, 1).coalesce()
