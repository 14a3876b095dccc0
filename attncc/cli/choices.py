"""Compares what a pattern chooses with its float64 twin, and what it keeps with the best and a random choice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attncc.autotune.inputs import Inputs, random_inputs
from attncc.giving import needs_lists
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Shape
from attncc.ir.selection import Selection
from attncc.lists import NOTHING, RowLists, table
from attncc.ref import dense
from attncc.selectors.catalog import load
from attncc.selectors.plain import plain_select
from attncc.selectors.score import Call

#: Scores that differ by less than this share of their row's range are near-ties: float32 may order them otherwise.
NEAR = 1e-4
#: Calls on which choices are compared: square, a chunk of a prefill, one query, a longer one.
SHAPES = (
    Shape(1, 4, 2, 65, 65, 64),
    Shape(2, 4, 2, 37, 200, 64),
    Shape(1, 4, 2, 1, 257, 64),
    Shape(1, 2, 1, 384, 384, 64),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One set of one call: how many units were chosen, how many the float64 twin chooses otherwise, and how many of
    these are near-ties. `broken` says which promise of lists is not kept, if any."""

    name: str
    shape: Shape
    chosen: int
    differing: int
    near: int
    broken: str

    @property
    def wrong(self) -> bool:
        return bool(self.broken) or self.differing > self.near


@dataclass(frozen=True, slots=True)
class Mass:
    """The share of dense attention that the pattern keeps, and what as many keys of each row could keep at best, and
    keep at random; means over all rows."""

    shape: Shape
    kept: float
    best: float
    random: float


def choices(pattern: Pattern, given: Sequence[Shape]) -> Iterator[Choice]:
    """One Choice for each set that the pattern chooses and each call that is not dense by its length."""
    for shape in given or SHAPES:
        if needs_lists(pattern, shape.q_len, shape.kv_len):
            inputs = random_inputs(shape, "float32", "cpu", pattern=pattern)
            yield from (_choice(one, shape, inputs) for one in pattern.selections)


def masses(pattern: Pattern, given: Sequence[Shape]) -> Iterator[Mass]:
    """How much attention is kept in each call."""
    for shape in given or SHAPES:
        yield _mass(pattern, shape, random_inputs(shape, "float32", "cpu", pattern=pattern))


def _choice(one: Selection, shape: Shape, inputs: Inputs) -> Choice:
    assert inputs.given is not None, "a pattern that chooses is given its sets"
    lists = inputs.given.lists[one.name]
    wanted = plain_select(one, inputs.query, inputs.key, inputs.scale, inputs.named)
    first = 0 if one.geometry.step is None else 1 - shape.kv_len
    found = table(lists, first, first + wanted.shape[-1])
    differing = found != wanted
    near = _near(one, inputs, wanted) if one.geometry.step is None and differing.any() else differing
    return Choice(
        one.name, shape, int(found.sum()), int(differing.sum()), int((differing & near).sum()), _broken(lists)
    )


def _near(one: Selection, inputs: Inputs, wanted: Tensor) -> Tensor:
    """Which units have nearly the score of the last unit that was chosen in their row."""
    call = Call(inputs.query, inputs.key, inputs.scale, one.geometry, one.causal, dict(one.options), inputs.named)
    each = load(one.score).plain(call)(call.rows)
    heads = wanted.shape[1]
    score = each.unflatten(1, (heads, -1))
    joined = score.sum(2) if one.heads.endswith("_sum") else score.amax(2)
    finite = joined.masked_fill(joined.isinf(), torch.nan)
    reach = finite.nan_to_num(-torch.inf).amax(-1, keepdim=True) - finite.nan_to_num(torch.inf).amin(-1, keepdim=True)
    last = joined.masked_fill(~wanted, torch.inf).amin(-1, keepdim=True)
    tied: Tensor = (joined - last).abs() <= NEAR * reach
    return tied


def _broken(lists: RowLists) -> str:
    """Which promise of `RowLists` does not hold: ascending, inside the pool, no overflow."""
    if bool(lists.overflow):
        return "overflow"
    for start, count in zip(lists.start.flatten().tolist(), lists.count.flatten().tolist(), strict=True):
        row = lists.entries[start : start + count]
        if len(row) != count:
            return "outside of the pool"
        if bool((row[1:] <= row[:-1]).any()):
            return "not ascending"
    return ""


def _mass(pattern: Pattern, shape: Shape, inputs: Inputs) -> Mass:
    kept = dense.kept(pattern, inputs.query.shape[:3], shape.kv_len, inputs.given or NOTHING)
    group = shape.q_heads // shape.kv_heads
    score = inputs.query @ inputs.key.repeat_interleave(group, 1).transpose(-1, -2) * inputs.scale
    rows = torch.arange(shape.q_len)[:, None] + shape.kv_len - shape.q_len
    past = torch.arange(shape.kv_len) <= rows
    weight = score.masked_fill(~past, -torch.inf).softmax(-1).nan_to_num(0.0)
    count = (kept & past).sum(-1, keepdim=True)
    best = weight.sort(-1, descending=True).values.cumsum(-1)
    at_best = torch.where(count > 0, best.gather(-1, (count - 1).clamp(min=0)), 0.0)
    at_random = count / past.sum(-1, keepdim=True).clamp(min=1)
    return Mass(shape, float((weight * kept).sum(-1).mean()), float(at_best.mean()), float(at_random.mean()))
