"""Reduces the mask of a loop to what its keys still have to be asked."""

from __future__ import annotations

import islpy as isl

from attncc.ir.expr import FALSE, TRUE, And, BoolExpr, Compare, Or
from attncc.ir.fold import conjunction, disjunction
from attncc.passes.sets import Sets


def residual(mask: BoolExpr, inside: isl.Set, sets: Sets) -> BoolExpr:
    """The plainest part of `mask` (folded) that decides it for the points `inside`.

    Each comparison that is always true or always false there, given the ones beside it, is replaced by its value: the
    gist of the mask, kept in the words of the pattern.
    """
    match mask:
        case Compare():
            points = sets.points(mask)
            return TRUE if inside.is_subset(points) else FALSE if inside.is_disjoint(points) else mask
        case And(left, right):
            second = residual(right, inside & sets.points(left), sets)
            return conjunction(residual(left, inside & sets.points(second), sets), second)
        case Or(left, right):
            second = residual(right, inside - sets.points(left), sets)
            return disjunction(residual(left, inside - sets.points(second), sets), second)
        case _:
            return mask
