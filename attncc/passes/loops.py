"""The runs of a mask over positions: in the form that suits it, with the parameters named; or a cover of its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from attncc.ir.expr import FALSE, BoolExpr, Int
from attncc.ir.tile import Body, Run, Tiling
from attncc.passes.forms import chosen, covering
from attncc.passes.named import named
from attncc.passes.split import Splits
from attncc.passes.tiles import KV_LEN, Form, tiles, unsplit

#: Said of plans that visit more keys than they should.
COVERS = "the mask has no short closed form for these tiles: a cover of its keys is visited and masked"
VISITS_ALL = "the mask has no closed form for these tiles: all keys are visited and masked"


@dataclass(frozen=True, slots=True)
class Loops:
    """A body, whether it is aligned (see TilePlan; None if it is right for both), and its note."""

    body: Body
    aligned: bool | None
    note: str


def loops(mask: BoolExpr, params: Mapping[str, int], tiling: Tiling, whole: bool, aligned: bool | None = None) -> Loops:
    """The loops of a folded mask; `aligned` asks for one kind. `whole` runs are not split
    where a row's view ends."""
    if mask == FALSE:
        return Loops((), None, "")

    splits = Splits(mask, tiling.block_m)

    def write(values: Mapping[str, int], form: Form) -> Body:
        parts = splits.at(values, form.aligned, form.steps)
        return unsplit(parts, values, form) if whole else tiles(parts, values, tiling.block_n, form)

    found = chosen(mask, params, tiling.block_m, write, aligned)
    if found is not None:
        form, body = found
        return Loops(named(body, mask, params, partial(write, form=form)), form.aligned, "")
    hull = covering(mask, params, tiling.block_m)
    if hull is not None:
        return Loops(hull, tiling.block_m > 1, COVERS)
    return Loops((Run(Int(0), KV_LEN, mask, bounded=True, joined=False),), None, VISITS_ALL)
