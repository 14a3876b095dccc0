"""Turns sets of key units into loops with closed-form bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import islpy as isl

from attncc.ir.expr import TRUE, UNIT_INDEX, ZERO, BoolExpr, Compare, IntExpr, Max, Not, Var, names
from attncc.ir.tile import Body, Branch, RangeLoop
from attncc.passes.fold import conjunction, fold
from attncc.passes.linear import successor
from attncc.passes.sets import affine, number, truth


@dataclass(frozen=True, slots=True)
class Leaf:
    """The units that one loop visits; `label` names the set they come from."""

    label: str
    units: isl.Set


@dataclass(frozen=True, slots=True)
class Range:
    """Where a loop runs: `range(lo, hi, step)`, without the units for which `sieve` is false."""

    lo: IntExpr
    hi: IntExpr
    step: int
    sieve: BoolExpr


MakeLoop = Callable[[Leaf, Range], RangeLoop]


def loops(sets: Mapping[str, isl.Set], sizes: isl.Set, make: MakeLoop) -> Body:
    """Loops that visit every unit of every set once.

    Of two texts the plainer: all sets in one ascending order, or one nest for each disjoint piece of each set, which is
    better where pieces interleave (a local window among strided blocks).
    """
    together = _generate(sets, sizes, make)
    if not any(loop.sieve for loop in every(together)):
        return together
    pieces = [(label, piece) for label, units in sets.items() for piece in _disjoint(units)]
    apart = tuple(node for label, piece in pieces for node in _generate({label: piece}, sizes, make))
    return min(together, apart, key=_cost)


def every(body: Body) -> Iterator[RangeLoop]:
    """All loops of a body, in the order of the text."""
    for node in body:
        match node:
            case RangeLoop():
                yield node
            case Branch(_, then, orelse):
                yield from every(then)
                yield from every(orelse)


def _cost(body: Body) -> tuple[int, int]:
    found = list(every(body))
    return sum(loop.sieve is not None for loop in found), len(found)


def _disjoint(units: isl.Set) -> Sequence[isl.Set]:
    return [isl.Set.from_basic_set(piece) for piece in units.make_disjoint().coalesce().get_basic_sets()]


def _generate(sets: Mapping[str, isl.Set], sizes: isl.Set, make: MakeLoop) -> Body:
    present = {label: units for label, units in sets.items() if not units.intersect_params(sizes.params()).is_empty()}
    return _Generator(sizes, make).run(present) if present else ()


class _Generator:
    """One run of isl's loop generator; notes which units reach each statement that it prints."""

    def __init__(self, sizes: isl.Set, make: MakeLoop) -> None:
        self._make = make
        self._sizes = sizes.params()
        self._leaves: dict[str, Leaf] = {}
        iterators = isl.IdList.alloc(sizes.get_ctx(), 1).add(isl.Id(UNIT_INDEX, context=sizes.get_ctx()))
        self._build = isl.AstBuild.from_context(self._sizes).set_iterators(iterators)

    def run(self, sets: Mapping[str, isl.Set]) -> Body:
        order: isl.UnionMap | None = None
        for label, units in sets.items():
            visit = isl.Map.identity(units.get_space().map_from_set()).intersect_domain(units)
            visit = visit.set_tuple_name(isl.dim_type.in_, label)
            order = isl.UnionMap.from_map(visit) if order is None else order.union(isl.UnionMap.from_map(visit))
        assert order is not None, "an empty plan has no loops to generate"
        separate = isl.UnionMap.read_from_str(order.get_ctx(), f"{{ [{UNIT_INDEX}] -> separate[0] }}")
        build, _noting = self._build.set_options(separate).set_at_each_domain(self._note)
        return self._body(build.node_from_schedule_map(order), None, TRUE)

    def _note(self, node: isl.AstNode, build: isl.AstBuild) -> isl.AstNode:
        found: list[isl.Set] = []
        build.get_schedule().domain().foreach_set(found.append)
        (units,) = found
        name = f"leaf{len(self._leaves)}"
        self._leaves[name] = Leaf(units.get_tuple_name(), units.reset_tuple_id().intersect_params(self._sizes))
        return node.set_annotation(isl.Id(name, context=units.get_ctx()))

    def _body(self, node: isl.AstNode, loop: Range | None, sieve: BoolExpr) -> Body:
        match node.get_type():
            case isl.ast_node_type.block:
                parts = node.block_get_children()
                return tuple(
                    found for at in range(parts.n_ast_node()) for found in self._body(parts.get_at(at), loop, sieve)
                )
            case isl.ast_node_type.if_:
                return self._branch(node, loop, sieve)
            case isl.ast_node_type.for_:
                return self._body(node.for_get_body(), _range(node), sieve)
            case _:
                return (self._loop(node, loop, sieve),)

    def _branch(self, node: isl.AstNode, loop: Range | None, sieve: BoolExpr) -> Body:
        condition = fold(truth(node.if_get_cond()))
        orelse = node.if_get_else_node() if node.if_has_else_node() else None
        if UNIT_INDEX not in names(condition):
            then = self._body(node.if_get_then_node(), loop, sieve)
            return (Branch(condition, then, () if orelse is None else self._body(orelse, loop, sieve)),)
        found = self._body(node.if_get_then_node(), loop, conjunction(sieve, condition))
        if orelse is not None:
            found += self._body(orelse, loop, conjunction(sieve, fold(Not(condition))))
        return found

    def _loop(self, node: isl.AstNode, loop: Range | None, sieve: BoolExpr) -> RangeLoop | Branch:
        leaf = self._leaves[node.get_annotation().get_name()]
        if loop is None:
            at = number(node.user_get_expr().get_op_arg(1))
            return self._make(leaf, Range(at, successor(at), 1, TRUE))
        if sieve == TRUE:
            return self._make(leaf, loop)
        return self._interval(leaf) or self._make(leaf, Range(loop.lo, loop.hi, loop.step, sieve))

    def _interval(self, leaf: Leaf) -> RangeLoop | Branch | None:
        """The loop without a sieve, if the units are all those between the least and the greatest."""
        least, greatest = leaf.units.dim_min(0), leaf.units.dim_max(0)
        unit = isl.PwAff.var_on_domain(isl.LocalSpace.from_space(leaf.units.get_space()), isl.dim_type.set, 0)
        between = unit.ge_set(_over(least, leaf.units)) & unit.le_set(_over(greatest, leaf.units))
        if least.n_piece() > 1 or greatest.n_piece() > 1 or not between.is_subset(leaf.units):
            return None
        (_, lowest), (_, highest) = least.get_pieces()[0], greatest.get_pieces()[0]
        lo, hi = affine(lowest), successor(affine(highest))
        if self._runs_only_in(leaf, lowest, highest):
            return self._make(leaf, Range(lo, hi, 1, TRUE))
        zero = isl.Aff.zero_on_domain(isl.LocalSpace.from_space(lowest.get_domain_space()))
        if self._runs_only_in(leaf, lowest, highest, zero):
            return self._make(leaf, Range(Max(ZERO, lo), hi, 1, TRUE))
        exists = leaf.units.params().gist_params(self._sizes)
        return Branch(fold(truth(self._build.expr_from_set(exists))), (self._make(leaf, Range(lo, hi, 1, TRUE)),), ())

    def _runs_only_in(self, leaf: Leaf, lowest: isl.Aff, highest: isl.Aff, floor: isl.Aff | None = None) -> bool:
        """Whether the range of the bounds is empty for all sizes at which the leaf has no unit."""
        runs = lowest.le_set(highest) if floor is None else lowest.le_set(highest) & floor.le_set(highest)
        return bool((runs.params() & self._sizes).is_subset(leaf.units.params()))


def _over(value: isl.PwAff, units: isl.Set) -> isl.PwAff:
    """A value that depends on sizes only, as a function on the units."""
    return value.project_domain_on_params().insert_domain(units.get_space())


def _range(node: isl.AstNode) -> Range:
    """The header of a `for` that isl wrote: `unit = lo; unit < hi or unit <= last; unit += step`."""
    lo = number(node.for_get_init())
    if node.for_is_degenerate():
        return Range(lo, successor(lo), 1, TRUE)
    step = node.for_get_inc().get_val().to_python()
    match fold(truth(node.for_get_cond())):
        case Compare("<", Var(), hi):
            return Range(lo, hi, step, TRUE)
        case Compare("<=", Var(), last):
            return Range(lo, successor(last), step, TRUE)
        case condition:
            raise AssertionError(f"isl wrote an unexpected loop condition: {condition}")
