"""Takes a mask with sets and inputs apart: what holds whatever they are, and what each of them adds to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from attncc.errors import MaskTooIntricate
from attncc.ir.expr import FALSE, TRUE, And, Attribute, Bool, BoolExpr, Compare, Member, Not, Or, given, names, parts
from attncc.ir.fold import conjunction, disjunction, fold
from attncc.ir.selection import TOUCHED, Geometry
from attncc.ir.tile import List
from attncc.passes.split import possible

#: More ways to be kept than this have no loops that anybody would read.
MOST_TERMS = 16


@dataclass(frozen=True, slots=True)
class Term:
    """One way to be kept: where `affine` holds and every one of `literals` does (memberships, negated ones, comparisons
    of inputs)."""

    affine: BoolExpr
    literals: frozenset[BoolExpr]


@dataclass(frozen=True, slots=True)
class Driven:
    """Pairs whose keys are found in a list: `region` (over positions only) says where they lie, `over` in which list
    (all keys if None), `only` what their keys must satisfy, `mask` (over inputs) what each pair must."""

    region: BoolExpr
    over: str | None
    only: BoolExpr
    mask: BoolExpr


@dataclass(frozen=True, slots=True)
class Taken:
    """A mask taken apart: `analytic` is kept whatever the sets and inputs are; `driven` are disjoint and make up the
    rest; `lists` are all that they go over or ask."""

    analytic: BoolExpr
    driven: tuple[Driven, ...]
    lists: tuple[List, ...]


def take_apart(mask: BoolExpr, params: Mapping[str, int], geometry: Mapping[str, Geometry]) -> Taken:
    """The parts of a folded mask. Raises MaskTooIntricate."""
    terms = _merged(_terms(mask))
    analytic = _any(term.affine for term in terms if not term.literals)
    others = sorted((term for term in terms if term.literals), key=lambda term: _single_keys(term, geometry))
    lists: dict[str, List] = {}
    driven: list[Driven] = []
    for at, term in enumerate(others):
        driver = _driver(term, geometry)
        rest = term.literals - driver.literals
        over = None if driver.list is None else _kept(lists, driver.list)
        for region, held in _regions(term, analytic, others[:at], params):
            conditions = [*sorted(rest, key=repr), *held]
            by_key = [one for one in conditions if _by_key(one)]
            by_pair = [one for one in conditions if not _by_key(one)]
            if any(isinstance(part, Member) for one in by_pair for part in parts(one)):
                raise MaskTooIntricate
            driven.append(Driven(region, over, _all(by_key), _all(by_pair)))
    for name in sorted({part.name for one in driven for part in parts(one.only) if isinstance(part, Member)}):
        lists.setdefault(name, List(name, geometry[name]))
    return Taken(analytic, tuple(driven), tuple(lists.values()))


def _kept(lists: dict[str, List], wanted: List) -> str:
    """The name under which `lists` has the wanted one; conditions on the same inputs get names of their own."""
    name = wanted.name
    while lists.setdefault(name, wanted) not in (wanted, replace(wanted, name=name)):
        name = f"{name}_too"
    lists[name] = replace(wanted, name=name)
    return name


def _terms(mask: BoolExpr) -> list[Term]:
    """The mask as a union of terms."""
    if not given(mask):
        return [] if mask == FALSE else [Term(mask, frozenset())]
    match mask:
        case Or(left, right):
            found = [*_terms(left), *_terms(right)]
        case And(left, right):
            found = [
                Term(conjunction(one.affine, other.affine), one.literals | other.literals)
                for one in _terms(left)
                for other in _terms(right)
            ]
        case _:
            return [Term(TRUE, frozenset({mask}))]
    if len(found) > MOST_TERMS:
        raise MaskTooIntricate
    return found


def _merged(terms: Sequence[Term]) -> list[Term]:
    """Terms with the same literals as one, and all that ask inputs only as one."""
    together: dict[frozenset[BoolExpr], BoolExpr] = {}
    for term in terms:
        together[term.literals] = disjunction(together.get(term.literals, FALSE), term.affine)
    found = [Term(affine, literals) for literals, affine in together.items()]
    asking = [term for term in found if term.literals and not any(map(_asks_a_set, term.literals))]
    if len(asking) < 2:
        return found
    return [*(term for term in found if term not in asking), _one_term(asking)]


def _one_term(terms: Sequence[Term]) -> Term:
    """Terms that ask inputs only, as one; what holds where they differ is part of its literal."""
    whole = _any(_all(sorted(term.literals, key=repr)) for term in terms)
    if len({term.affine for term in terms}) > 1:
        whole = _any(conjunction(term.affine, _all(sorted(term.literals, key=repr))) for term in terms)
    return Term(_any({term.affine: None for term in terms}), frozenset({whole}))


def _asks_a_set(condition: BoolExpr) -> bool:
    return any(isinstance(part, Member) for part in parts(condition))


def _weakened(condition: BoolExpr) -> BoolExpr:
    """The condition with everything but comparisons of inputs taken for true."""
    match condition:
        case And(left, right):
            return conjunction(_weakened(left), _weakened(right))
        case Or(left, right):
            return disjunction(_weakened(left), _weakened(right))
        case _:
            return condition if given(condition) else TRUE


@dataclass(frozen=True, slots=True)
class _Driver:
    """What a term's keys are found by, and the literals that being in the list makes true."""

    list: List | None
    literals: frozenset[BoolExpr]


def _driver(term: Term, geometry: Mapping[str, Geometry]) -> _Driver:
    sets = [one for one in sorted(term.literals, key=repr) if isinstance(one, Member)]
    if sets:
        first = min(sets, key=lambda member: geometry[member.name].size)
        return _Driver(List(first.name, geometry[first.name]), frozenset({first}))
    inputs = [one for one in sorted(term.literals, key=repr) if not _asks_a_set(one)]
    condition = _weakened(_all(inputs))
    if condition == TRUE:
        return _Driver(None, frozenset())
    name = "touched_" + "_".join(sorted({part.name for part in parts(condition) if isinstance(part, Attribute)}))
    return _Driver(List(name, TOUCHED, condition), frozenset())


def _single_keys(term: Term, geometry: Mapping[str, Geometry]) -> bool:
    """Lists of single keys come last: of them, those that other lists have are quickly left out."""
    driver = _driver(term, geometry)
    return driver.list is not None and driver.list.geometry.size == 1 and driver.list.geometry.step is None


def _regions(
    term: Term, analytic: BoolExpr, before: Sequence[Term], params: Mapping[str, int]
) -> Iterator[tuple[BoolExpr, list[BoolExpr]]]:
    """Where the term adds to what comes before it: disjoint regions, each with what must hold besides the term."""
    pieces: list[tuple[BoolExpr, list[BoolExpr]]] = [(conjunction(term.affine, fold(Not(analytic))), [])]
    for earlier in before:
        inside, outside = earlier.affine, fold(Not(earlier.affine))
        missed = _any(fold(Not(one)) for one in earlier.literals - term.literals)
        pieces = [
            (conjunction(region, side), [*held, missed] if side is inside else held)
            for region, held in pieces
            for side in ((inside,) if missed != FALSE else ()) + (outside,)
        ]
        pieces = [piece for piece in pieces if possible(piece[0], params)]
    yield from (piece for piece in pieces if possible(piece[0], params))


def _all(conditions: Iterable[BoolExpr]) -> BoolExpr:
    total: BoolExpr = TRUE
    for condition in conditions:
        total = conjunction(total, condition)
    return total


def _any(conditions: Iterable[BoolExpr]) -> BoolExpr:
    total: BoolExpr = FALSE
    for condition in conditions:
        total = disjunction(total, condition)
    return total


def _by_key(condition: BoolExpr) -> bool:
    """Whether a condition is the same for all rows of a tile: memberships are, comparisons of inputs at kv too."""
    match condition:
        case Member() | Bool():
            return True
        case Compare():
            return "q" not in names(condition)
        case Not(operand):
            return _by_key(operand)
        case And(left, right) | Or(left, right):
            return _by_key(left) and _by_key(right)
        case _:
            assert_never(condition)
