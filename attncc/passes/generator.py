"""Reads back, as a nest, what isl's loop generator writes for sets of keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import islpy as isl

from attncc.ir.expr import (
    FALSE,
    STRIP,
    TRUE,
    ZERO,
    And,
    BoolExpr,
    Compare,
    Int,
    IntExpr,
    Max,
    Mod,
    Not,
    Sub,
    Var,
    names,
)
from attncc.ir.fold import conjunction, fold
from attncc.ir.linear import successor
from attncc.passes.nest import Choice, Interval, Nest, Repeat, Uneven
from attncc.passes.sets import Sets, affine, number, truth


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the text a statement stands: the conditions around it, and the ends of its loop over keys, if any."""

    where: BoolExpr
    run: tuple[IntExpr, IntExpr] | None

    def under(self, condition: BoolExpr) -> _Place:
        return _Place(conjunction(self.where, condition), self.run)


class Generator:
    """One run of isl's loop generator, read back as a nest."""

    def __init__(
        self, sets: Mapping[str, isl.Set], params: Mapping[str, int], sizes: isl.Set, strip: int | None
    ) -> None:
        self._sets = sets
        self._sizes = sizes.params()
        self._names = ("kv",) if strip is None else (STRIP, "kv")
        self._strip = strip
        self._points = Sets(_with_strip(next(iter(sets.values()))).get_space(), params)
        context = sizes.get_ctx()
        iterators = isl.IdList.alloc(context, len(self._names))
        for name in self._names:
            iterators = iterators.add(isl.Id(name, context=context))
        self._build = isl.AstBuild.from_context(self._sizes).set_iterators(iterators)

    def run(self) -> Nest:
        order: isl.UnionMap | None = None
        for label, keys in self._sets.items():
            visit = isl.UnionMap.from_map(self._order(keys).set_tuple_name(isl.dim_type.in_, label))
            order = visit if order is None else order.union(visit)
        assert order is not None, "an empty plan has no loops to generate"
        separate = f"{{ [{', '.join(self._names)}] -> separate[{len(self._names) - 1}] }}"
        build = self._build.set_options(isl.UnionMap.read_from_str(order.get_ctx(), separate))
        return self._nest(build.node_from_schedule_map(order), _Place(TRUE, None))

    def _order(self, keys: isl.Set) -> isl.Map:
        """The order of visits: ascending keys, or strips and then the keys inside."""
        visit = "[kv] -> [kv]"
        if self._strip is not None:
            visit = f"[kv] -> [{STRIP}, kv] : 0 <= kv - {self._strip} {STRIP} < {self._strip}"
        return isl.Map.read_from_str(keys.get_ctx(), f"{{ {visit} }}").intersect_domain(keys)

    def _nest(self, node: isl.AstNode, place: _Place) -> Nest:
        match node.get_type():
            case isl.ast_node_type.block:
                parts = node.block_get_children()
                return tuple(found for at in range(parts.n_ast_node()) for found in self._nest(parts.get_at(at), place))
            case isl.ast_node_type.if_:
                return self._choice(node, place)
            case isl.ast_node_type.for_:
                return self._loop(node, place)
            case _:
                return (self._interval(node, place),)

    def _loop(self, node: isl.AstNode, place: _Place) -> Nest:
        lo, hi, step = _range(node)
        iterator = node.for_get_iterator().get_id().get_name()
        if iterator == STRIP:
            strip = Var(STRIP)
            in_range = And(Compare("<=", lo, strip), Compare("<", strip, hi))
            in_step = Compare("==", Mod(Sub(strip, lo), Int(step)), ZERO)
            return (Repeat(lo, hi, step, self._nest(node.for_get_body(), place.under(And(in_range, in_step)))),)
        if step != 1:
            raise Uneven
        return self._nest(node.for_get_body(), _Place(place.where, (lo, hi)))

    def _choice(self, node: isl.AstNode, place: _Place) -> Nest:
        condition = fold(truth(node.if_get_cond()))
        then, otherwise = place.under(condition), place.under(fold(Not(condition)))
        yes = self._nest(node.if_get_then_node(), then)
        no = self._nest(node.if_get_else_node(), otherwise) if node.if_has_else_node() else ()
        if condition in (TRUE, FALSE):
            return yes if condition == TRUE else no
        if "kv" not in names(condition):
            return (Choice(condition, yes, no),)
        return tuple(self._whole(interval) for interval in (*yes, *no))

    def _interval(self, node: isl.AstNode, place: _Place) -> Interval:
        label = node.user_get_expr().get_op_arg(0).get_id().get_name()
        if place.run is None:
            at = number(node.user_get_expr().get_op_arg(1))
            first, stop = at, successor(at)
        else:
            first, stop = place.run
        inside = And(Compare("<=", first, Var("kv")), Compare("<", Var("kv"), stop))
        keys = self._points.points(conjunction(place.where, inside)) & _with_strip(self._sets[label])
        at = keys.find_dim_by_name(isl.dim_type.param, STRIP)
        keys = keys.project_out(isl.dim_type.param, at, 1).intersect_params(self._sizes).coalesce()
        return Interval(label, first, stop, keys)

    def _whole(self, sieved: Interval | Repeat | Choice) -> Interval | Choice:
        """The interval of keys that are all those between the least and the greatest, although isl wrote a sieve."""
        if not isinstance(sieved, Interval):
            raise Uneven
        label, keys = sieved.label, sieved.keys
        least, greatest = keys.dim_min(0), keys.dim_max(0)
        key = isl.PwAff.var_on_domain(isl.LocalSpace.from_space(keys.get_space()), isl.dim_type.set, 0)
        between = key.ge_set(_over(least, keys)) & key.le_set(_over(greatest, keys))
        if least.n_piece() > 1 or greatest.n_piece() > 1 or not between.is_subset(keys):
            raise Uneven
        (_, lowest), (_, highest) = least.get_pieces()[0], greatest.get_pieces()[0]
        first, stop = affine(lowest), successor(affine(highest))
        if self._runs_only_in(keys, lowest, highest):
            return Interval(label, first, stop, keys)
        zero = isl.Aff.zero_on_domain(isl.LocalSpace.from_space(lowest.get_domain_space()))
        if self._runs_only_in(keys, lowest, highest, zero):
            return Interval(label, Max(ZERO, first), stop, keys)
        exists = fold(truth(self._build.expr_from_set(keys.params().gist_params(self._sizes))))
        return Choice(exists, (Interval(label, first, stop, keys),), ())

    def _runs_only_in(self, keys: isl.Set, lowest: isl.Aff, highest: isl.Aff, floor: isl.Aff | None = None) -> bool:
        """Whether the interval of the ends is empty for all sizes at which there is no key."""
        runs = lowest.le_set(highest) if floor is None else lowest.le_set(highest) & floor.le_set(highest)
        return bool((runs.params() & self._sizes).is_subset(keys.params()))


def _with_strip(keys: isl.Set) -> isl.Set:
    """The same keys in a space that has the strip among its sizes."""
    at = keys.dim(isl.dim_type.param)
    return keys.add_dims(isl.dim_type.param, 1).set_dim_name(isl.dim_type.param, at, STRIP)


def _over(value: isl.PwAff, keys: isl.Set) -> isl.PwAff:
    """A value that depends on sizes only, as a function on the keys."""
    return value.project_domain_on_params().insert_domain(keys.get_space())


def _range(node: isl.AstNode) -> tuple[IntExpr, IntExpr, int]:
    """(lo, hi, step) of a `for` that isl wrote with `< hi` or `<= last`."""
    lo = number(node.for_get_init())
    if node.for_is_degenerate():
        return lo, successor(lo), 1
    step = node.for_get_inc().get_val().to_python()
    match fold(truth(node.for_get_cond())):
        case Compare("<", Var(), hi):
            return lo, hi, step
        case Compare("<=", Var(), last):
            return lo, successor(last), step
        case condition:
            raise AssertionError(f"isl wrote an unexpected loop condition: {condition}")
