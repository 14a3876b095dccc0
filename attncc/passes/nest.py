"""Strips and intervals of keys: the shape of what a query tile visits, before masks are attached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import islpy as isl

from attncc.ir.expr import BoolExpr, IntExpr


class Uneven(Exception):
    """The keys of a loop are not all those between its ends."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Keys first to stop - 1, of the set `label`; `keys` is { [kv] }, exactly those keys (for all strips)."""

    label: str
    first: IntExpr
    stop: IntExpr
    keys: isl.Set


@dataclass(frozen=True, slots=True)
class Repeat:
    """The body for every strip of range(lo, hi, step)."""

    lo: IntExpr
    hi: IntExpr
    step: int
    body: Nest


@dataclass(frozen=True, slots=True)
class Choice:
    """One body or the other."""

    condition: BoolExpr
    then: Nest
    orelse: Nest


Nest: TypeAlias = "tuple[Interval | Repeat | Choice, ...]"
