"""Which kinds of runs a plan has: one function visits all runs of a kind, and this is what it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attncc.codegen.cpu.exprs import LONGEST_WORD, macro
from attncc.ir.expr import TRUE, BoolExpr
from attncc.ir.tile import Run, TilePlan

#: The longest constant of a mask where names of functions say the list as well.
LONGEST_WITH_LIST = 24


@dataclass(frozen=True, slots=True)
class Kind:
    """What the runs of one kind have in common."""

    mask: BoolExpr | None
    over: str | None
    only: BoolExpr

    @property
    def walk(self) -> str:
        """The function that walks the keys of such a run."""
        if self.over is not None:
            return "visit_list"
        return "visit" if self.only == TRUE else "visit_some"


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of a plan, with a constant of `enum mask` for every mask and one of `enum only` for what keys must
    satisfy to be visited at all; all in the order of the text."""

    all: tuple[Kind, ...]
    masks: Mapping[BoolExpr, str]
    onlys: Mapping[BoolExpr, str]

    def mask(self, kind: Kind) -> str:
        return "FULL" if kind.mask is None else self.masks[kind.mask]

    def only(self, kind: Kind) -> str:
        return "ANY" if kind.only == TRUE else self.onlys[kind.only]

    def visit(self, kind: Kind) -> str:
        """The function that visits runs of the kind: visit_full, visit_kv_le_q_over_columns."""
        over = "" if kind.over is None else f"_over_{kind.over}"
        only = "" if kind.only == TRUE else f"_{self.only(kind)}"
        return f"visit_{self.mask(kind)}{over}{only}".lower()


def kind_of(run: Run) -> Kind:
    return Kind(run.mask, run.over, run.only)


def kinds(plan: TilePlan) -> Kinds:
    """The kinds of the plan's runs."""
    found = tuple(dict.fromkeys(kind_of(run) for run in plan.runs()))
    masks = dict.fromkeys(kind.mask for kind in found if kind.mask is not None)
    onlys = dict.fromkeys(kind.only for kind in found if kind.only != TRUE)
    longest = LONGEST_WITH_LIST if any(kind.over is not None for kind in found) else LONGEST_WORD
    return Kinds(
        found,
        {mask: macro(mask, longest) or f"MASK_{chr(65 + at)}" for at, mask in enumerate(masks)},
        {only: f"ONLY_{chr(65 + at)}" for at, only in enumerate(onlys)},
    )
