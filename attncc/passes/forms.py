"""Chooses the form in which the loops of a mask are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import islpy as isl

from attncc.ir.expr import And, BoolExpr, Compare, Expr, FloorDiv, Int, IntExpr, Mod, Mul, Or, Param, children, names
from attncc.ir.tile import Body, Branch, Run, Strips
from attncc.passes.nest import Uneven
from attncc.passes.tiles import Form, cover

#: Loops that cost at most this much are taken at once; longer ones are compared with the other forms.
SHORT = 7

#: What a branch inside a strip costs beyond its line, since every strip takes it.
INNER_BRANCH = 2

#: What isl may spend on one form, in its own steps (a million take about half a second). Tiles of several rows with any
#: first and last one either come out short or explode, so that they get less.
STEPS, ALIGNED_STEPS = 300_000, 2_000_000


#: Masks that may fall into more pieces than this, or leave more between them, are not put before isl: its steps count
#: little of what such sets cost.
MOST_PIECES = 100


#: The loops of a mask in some form, for some values of its parameters; raises Uneven or isl.Error if it does not suit.
Write = Callable[[Mapping[str, int], "Form"], Body]


def chosen(
    mask: BoolExpr, params: Mapping[str, int], block_m: int, write: Write, aligned: bool | None = None
) -> tuple[Form, Body] | None:
    """The first form with short loops, else the one with the shortest; None when no form suits the mask. `aligned` asks
    for forms of one kind."""
    found: list[tuple[Form, Body]] = []
    if _hopeless(mask):
        return None
    for form in _forms(mask, params, block_m):
        if aligned is not None and form.aligned != aligned:
            continue
        try:
            found.append((form, write(params, form)))
        except (Uneven, isl.Error):
            continue
        if cost(found[-1][1]) <= SHORT:
            return found[-1]
    return min(found, key=lambda each: cost(each[1]), default=None)


def covering(mask: BoolExpr, params: Mapping[str, int], block_m: int) -> Body | None:
    """Masked runs that cover all keys some row sees; None when not even those have a closed form."""
    if _hopeless(mask):
        return None
    try:
        return cover(mask, params, block_m, Form(None, False, block_m > 1, ALIGNED_STEPS))
    except (Uneven, isl.Error):
        return None


def _hopeless(mask: BoolExpr) -> bool:
    return max(_pieces(mask, True), _pieces(mask, False)) > MOST_PIECES


def _pieces(mask: BoolExpr, kept: bool) -> int:
    """An upper bound on the convex pieces of what a folded mask keeps, or of what it leaves out."""
    match mask:
        case Compare(relation):
            return 2 if relation == ("!=" if kept else "==") else 1
        case And(left, right) | Or(left, right):
            one, two = _pieces(left, kept), _pieces(right, kept)
            return one * two if isinstance(mask, And) == kept else one + two
        case _:
            return 1


def cost(body: Body, inner: int = 0) -> int:
    """How long the loops are as a text, with a price on branches inside strips."""
    total = 0
    for node in body:
        match node:
            case Run():
                total += 1
            case Strips():
                total += 1 + cost(node.body, INNER_BRANCH)
            case Branch(_, then, orelse):
                total += 1 + inner + cost(then, inner) + cost(orelse, inner)
    return total


def _forms(mask: BoolExpr, params: Mapping[str, int], block_m: int) -> Iterator[Form]:
    """Runs through all keys; strips as wide as the mask cuts the keys; the same for aligned tiles; single keys."""
    strips = sorted({width for width in _widths(mask, params) if width >= 8}, reverse=True)
    for aligned in (False, True) if block_m > 1 else (False,):
        steps = ALIGNED_STEPS if aligned or block_m == 1 else STEPS
        yield Form(None, False, aligned, steps)
        yield from (Form(strip, apart, aligned, steps) for strip in strips for apart in (False, True))
    yield Form(1, False, False, STEPS)


def _widths(mask: BoolExpr, params: Mapping[str, int]) -> Iterator[int]:
    """The distances at which the mask cuts the keys: kv // 64 at 64, kv // 64 // 16 at 64 and 1024."""
    stack: list[Expr] = [mask]
    while stack:
        node = stack.pop()
        stack.extend(children(node))
        match node:
            case FloorDiv(left, _) | Mod(left, _) if "kv" in names(left):
                yield _cut(node, params)
            case _:
                pass


def _cut(expr: IntExpr, params: Mapping[str, int]) -> int:
    match expr:
        case FloorDiv(left, right) | Mod(left, right):
            return _cut(left, params) * _value(right, params)
        case _:
            return 1


def _value(expr: IntExpr, params: Mapping[str, int]) -> int:
    match expr:
        case Int(value):
            return value
        case Param(name):
            return params[name]
        case Mul(left, right):
            return _value(left, params) * _value(right, params)
        case _:
            return 1
